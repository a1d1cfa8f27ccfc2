"""Gradient flow and descent of two-layer networks: problem, reduction, integrators."""

from jaxbias.dynamics.adaptive import Adaptive as Adaptive
from jaxbias.dynamics.adversarial import AdversarialDescent as AdversarialDescent
from jaxbias.dynamics.adversarial import descend_adversarially as descend_adversarially
from jaxbias.dynamics.coreset import coreset as coreset
from jaxbias.dynamics.coreset import output_gap as output_gap
from jaxbias.dynamics.descent import Descent as Descent
from jaxbias.dynamics.descent import descend as descend
from jaxbias.dynamics.fixed_step import FixedStep as FixedStep
from jaxbias.dynamics.flow import GradientFlow as GradientFlow
from jaxbias.dynamics.flow import Problem as Problem
from jaxbias.dynamics.snapshot import Snapshot as Snapshot
from jaxbias.dynamics.snapshot import snapshot_of as snapshot_of
from jaxbias.dynamics.solve import solve as solve
from jaxbias.dynamics.status import Status as Status
from jaxbias.dynamics.training import train_module as train_module
from jaxbias.dynamics.trajectory import Trajectory as Trajectory
