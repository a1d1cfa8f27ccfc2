"""What a gradient flow costs: evaluations, seconds of one core, bytes.

Constants were measured on one core of an AMD EPYC with 1 MiB of second-level cache
(figures/benchmarks/small_runs.md). Nothing is measured while a sweep is planned, so
that shards and machines lay out the same batches.
"""

import numpy as np

from jaxbias._axes import CLUSTER, FEATURE, NEURON, SAMPLE
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.mixtures import ClusterMixture
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.error_norm import EVERY_TIME
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.experiments.experiment import Work

_FLOPS, _SCORE, _CURVED_SCORE, _GAUSSIAN = 1e11, 1.0e-9, 2.5e-9, 7e-9
# Of a run along kinks and of a smooth one, at the tolerance of p = 1 and of p = 2.
_EVALUATIONS = {True: (2000.0, 540.0), False: (80.0, 105.0)}
# Arrays of the size of the scores that a solve holds.
_COPIES = 20


def samples_of(flow: GradientFlow) -> int:
    """Training rows of a flow."""
    return flow.shapes.samples if flow.samples is None else flow.samples


def dim_of(flow: GradientFlow) -> int:
    """Input dimension of a flow."""
    if isinstance(flow.data, OrthonormalClusters | ClusterMixture):
        return flow.data.dim
    return flow.shapes.dim


def clusters_of(flow: GradientFlow) -> int:
    """Clusters of a flow's data; 0 where data of one's own have no centres."""
    if isinstance(flow.data, OrthonormalClusters | ClusterMixture):
        return flow.data.clusters
    centres = flow.shapes.centres
    return 0 if centres is None else centres.shape[0]


def sizes_of(flow: GradientFlow, width: int) -> dict[str, int]:
    """Entries along each axis."""
    return {
        NEURON: width,
        SAMPLE: samples_of(flow),
        FEATURE: dim_of(flow),
        CLUSTER: clusters_of(flow),
    }


def evaluations(
    integrator: Adaptive | FixedStep, times: tuple[float, ...], flow: GradientFlow
) -> float:
    """Evaluations of the right-hand side in one run, about: 3 times either way."""
    if isinstance(integrator, FixedStep):
        return 2.0 * times[-1] / float(integrator.step)
    degree = flow.network.activation.degree
    kinked, smooth = _EVALUATIONS[integrator.accuracy == EVERY_TIME]
    usual = Adaptive(accuracy=integrator.accuracy).tolerance(
        min(degree, 2.0), flow.loss
    )
    ratio = float(usual) / float(integrator.tolerance(degree, flow.loss))
    wanted = (kinked if degree == 1 else smooth) * ratio ** (1 / order_of(flow))
    return min(wanted, 3.0 * integrator.max_steps)


def order_of(flow: GradientFlow) -> float:
    """The order of the integrator: 3, but about 2 in evaluations along kinks."""
    return 2.0 if flow.network.activation.degree == 1 else 3.0


def flow_work(flow: GradientFlow, padded: int, dtype: str, evaluations: float) -> Work:
    """What a run of a flow takes at an array width."""
    samples, dim = samples_of(flow), dim_of(flow)
    size = np.dtype(dtype).itemsize
    rows = min(samples, 2 * dim)
    score = _SCORE if flow.network.activation.degree == 1 else _CURVED_SCORE
    products = 2 * samples * padded * rows / _FLOPS
    solve = evaluations * size / 4 * (products + score * samples * padded)
    return Work(
        seconds=solve + _GAUSSIAN * (samples + padded) * dim,
        sizes=sizes_of(flow, padded),
        problem_bytes=(samples + padded) * dim * size,
        solve_bytes=(_COPIES * rows * padded + samples * rows) * size,
        scores=samples * padded,
        order=order_of(flow),
    )
