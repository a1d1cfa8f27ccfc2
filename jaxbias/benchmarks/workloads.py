"""The workload of a name."""

from jaxbias._checks import one_of
from jaxbias.benchmarks.flows import flow
from jaxbias.benchmarks.interface import Workload
from jaxbias.benchmarks.names import BENCHMARKS, FLOWS
from jaxbias.benchmarks.radii import Radii

_EFFORTS = {"radius": "attack", "bounds": "bounds", "exact": "exact"}


def workload(name: str) -> Workload:
    """The workload of that name.

    Raises:
        InputError: there is none; the closest names are offered.
    """
    one_of("benchmark", name, BENCHMARKS)
    kind, _, exponent = name.partition("-p")
    if name in FLOWS:
        return flow(kind, int(exponent))
    return Radii(name, _EFFORTS[kind], flow("S", int(exponent)))
