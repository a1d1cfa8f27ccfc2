"""Our integrator, at multiples of the default tolerance of either accuracy."""

from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.prepared import Prepared, compiled
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.flow import Problem
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.status import Status
from jaxbias.losses import exponential
from jaxbias.observables import resolve

_MULTIPLES = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)
#: Of each rule the setting of that name, as it comes; the others are drawn.
ACCURACY = {"a": "final outputs", "b": "every time"}
CHOSEN = {
    rule: {"accuracy": accuracy, "tolerance": 1.0}
    for rule, accuracy in ACCURACY.items()
}
SETTINGS = {
    rule: tuple({"accuracy": accuracy, "tolerance": x} for x in _MULTIPLES)
    for rule, accuracy in ACCURACY.items()
}


def prepare(
    workload: Flow, seeds: tuple[int, ...], setting: dict, *, record: bool = False
) -> Prepared:
    """Float32; ``tolerance`` is a multiple of the accuracy's default."""
    accuracy = setting["accuracy"]
    default = Adaptive(accuracy=accuracy).tolerance(
        workload.activation.degree, exponential
    )
    rtol = min(1.0, setting["tolerance"] * default)
    integrator = Adaptive(rtol, accuracy=accuracy)
    return _prepare(workload, seeds, integrator, "float32", record)


def tight(workload: Flow, seeds: tuple[int, ...], times: float = 1.0) -> Prepared:
    """The reference: float64 at a multiple of the workload's tight tolerance."""
    integrator = Adaptive(times * workload.tight)
    return _prepare(workload, seeds, integrator, "float64", True)


def _prepare(
    workload: Flow, seeds: tuple[int, ...], integrator, dtype: str, record: bool
) -> Prepared:
    times = workload.times if record else [workload.horizon]
    observe = {"loss": resolve(["loss"])["loss"].function} if record else {}

    def one(problem: Problem):
        run = solve(problem, times, observe, integrator)
        finished = run.status == Status.FINISHED
        losses = run.observables["loss"] if record else None
        return run.final, finished, run.statistics["evaluations"], losses

    return compiled(one, workload.problems(seeds, dtype))
