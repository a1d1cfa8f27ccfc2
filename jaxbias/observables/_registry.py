"""Observables by name: what is measured, on which axes, in which unit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jaxtyping import Array

from jaxbias._checks import InputError, one_of
from jaxbias.dynamics.snapshot import Snapshot

SIDE = "side"
"""Two entries: the positive neurons or centres, then the negative ones."""

Measure = Callable[[Snapshot], Array]


@dataclass(frozen=True)
class Observable:
    """A pure, jittable function of a snapshot, and what its result means.

    Attributes:
        name: the name under which it is asked for and stored.
        function: from a snapshot to an array.
        axes: names of the result's axes, in order.
        description: one line, for tables and plots.
        unit: unit or range.
    """

    name: str
    function: Measure
    axes: tuple[str, ...]
    description: str
    unit: str = ""

    def __call__(self, snapshot: Snapshot) -> Array:
        """The function's value."""
        return self.function(snapshot)


REGISTRY: dict[str, Observable] = {}


def register(
    *axes: str, description: str, unit: str = ""
) -> Callable[[Measure], Measure]:
    """Enter a function under its own name."""

    def enter(function: Measure) -> Measure:
        name = getattr(function, "__name__")  # noqa: B009
        REGISTRY[name] = Observable(name, function, axes, description, unit)
        return function

    return enter


def resolve(names: Iterable[str | Observable]) -> dict[str, Observable]:
    """The observables of these names, in this order; an Observable passes through.

    Raises:
        InputError: for an unknown name, with the closest known ones; for a bare string,
            and for a name given twice.
    """
    if isinstance(names, str):
        raise InputError(
            f"observe={names!r}", "a list of names is needed", f"observe=[{names!r}]"
        )
    found: dict[str, Observable] = {}
    for name in names:
        if isinstance(name, Observable):
            observable = name
        else:
            one_of("observable", name, REGISTRY)
            observable = REGISTRY[name]
        if observable.name in found:
            raise InputError(
                f"observable {observable.name!r} twice",
                "its values are stored under that name",
                f"observe=[{observable.name!r}]",
            )
        found[observable.name] = observable
    return found
