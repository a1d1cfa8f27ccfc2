"""Our radii at the workload's effort, by the verb itself: from arrays to intervals."""

from dataclasses import asdict

from jaxbias.benchmarks.prepared import Answer, Prepared, warmed
from jaxbias.benchmarks.radii import Radii
from jaxbias.robustness import Search, radius

CHOSEN = asdict(Search())
#: There is no plot of these.
SETTINGS = ()


def prepare(workload: Radii, seeds: tuple[int, ...], setting: dict) -> Prepared:
    """Upper ends; lower ones are computed as the effort has it."""
    weights, points, labels = workload.problems(seeds, "float32")
    search = Search(**setting)

    def run() -> Answer:
        found = radius(
            weights,
            points,
            labels,
            activation=workload.flow.activation,
            effort=workload.effort,
            search=search,
        )
        return Answer(found.upper)

    return warmed(run)
