"""Our integrator, at multiples of its default tolerance."""

from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.prepared import Prepared, compiled
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.status import Status
from jaxbias.losses import exponential

#: The default is measured; the others are drawn in the figure.
CHOSEN = {"tolerance": 1.0}
SETTINGS = tuple({"tolerance": x} for x in (4.0, 2.0, 1.0, 0.5, 0.25, 0.125))


def prepare(workload: Flow, seeds: tuple[int, ...], setting: dict) -> Prepared:
    """Float32; ``tolerance`` is a multiple of the default relative tolerance."""
    default = Adaptive().tolerance(workload.activation.degree, exponential)
    rtol = min(1.0, setting["tolerance"] * default)
    return _prepare(workload, seeds, rtol, "float32")


def tight(workload: Flow, seeds: tuple[int, ...], times: float = 1.0) -> Prepared:
    """The reference: float64 at a multiple of the workload's tight tolerance."""
    return _prepare(workload, seeds, times * workload.tight, "float64")


def _prepare(workload: Flow, seeds: tuple[int, ...], rtol, dtype: str) -> Prepared:
    def one(problem: Problem):
        run = solve(problem, [workload.horizon], {}, Adaptive(rtol))
        finished = run.status == Status.FINISHED
        return run.final, finished, run.statistics["evaluations"]

    return compiled(one, workload.problems(seeds, dtype))
