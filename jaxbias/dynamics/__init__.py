"""Gradient flow of two-layer networks: problem, exact reduction, integrators."""

from jaxbias.dynamics.adaptive import Adaptive as Adaptive
from jaxbias.dynamics.fixed_step import FixedStep as FixedStep
from jaxbias.dynamics.flow import GradientFlow as GradientFlow
from jaxbias.dynamics.flow import Problem as Problem
from jaxbias.dynamics.snapshot import Snapshot as Snapshot
from jaxbias.dynamics.snapshot import snapshot_of as snapshot_of
from jaxbias.dynamics.solve import solve as solve
from jaxbias.dynamics.status import Status as Status
from jaxbias.dynamics.trajectory import Trajectory as Trajectory
