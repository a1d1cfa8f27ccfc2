"""Observables by name: what is measured, on which axes, in which unit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxbias._checks import InputError, one_of
from jaxbias.dynamics.snapshot import Snapshot

SIDE = "side"
"""Two entries: the positive neurons or centres, then the negative ones."""

Measure = Callable[[Snapshot], Array]


@dataclass(frozen=True)
class Observable:
    r"""A pure, jittable function of a snapshot, and what its result means.

    Attributes:
        name: the name under which it is asked for and stored.
        function: from a snapshot to an array.
        axes: names of the result's axes, in order.
        description: one line, for tables and plots.
        unit: unit or range.
        scale: size below which a difference does not count, a function of a snapshot;
            the largest value itself if not given. A run is right to 1 % where
            $|o - o^*| \le .01\max(|o^*|, s)$ at every saved time, with s the largest
            scale so far; see :func:`relative_error`. Step functions of the state
            (``cluster_amplitudes``, ``dead_fraction``) are so only away from their
            steps: they jump by what a neuron weighs or by a whole neuron, where it is
            within 1e-3 of a tie in cosine.
    """

    name: str
    function: Measure
    axes: tuple[str, ...]
    description: str
    unit: str = ""
    scale: Measure | None = None

    def __call__(self, snapshot: Snapshot) -> Array:
        """The function's value."""
        return self.function(snapshot)

    def __spec__(self) -> str:
        """In a specification, the name: functions of one's own have no JSON form."""
        return self.name

    def size(self, snapshot: Snapshot) -> Array:
        """The scale at this time: one number."""
        if self.scale is None:
            return jnp.max(jnp.abs(self.function(snapshot)))
        return jnp.max(jnp.asarray(self.scale(snapshot)))


def unit_scale(snapshot: Snapshot) -> Array:
    """1: of cosines, shares, ranks and relative errors."""
    return jnp.ones_like(snapshot.norms[0])


def relative_error(
    values: Float[np.ndarray, "time ..."],
    tight: Float[np.ndarray, "time ..."],
    sizes: Float[np.ndarray, " time"],
) -> Float[np.ndarray, " time"]:
    r"""Worst $|o - o^*| / \max(|o^*|, s)$ at each time, s the largest size so far.

    Args:
        values: The observable along a run.
        tight: The same, exact.
        sizes: ``Observable.size`` along the exact run.
    """
    values, tight = np.asarray(values, float), np.asarray(tight, float)
    so_far = np.maximum.accumulate(np.asarray(sizes, float))
    so_far = so_far.reshape((-1,) + (1,) * (tight.ndim - 1))
    least = np.finfo(float).tiny
    error = np.abs(values - tight) / np.maximum(
        np.maximum(np.abs(tight), so_far), least
    )
    return error.reshape(len(error), -1).max(axis=1)


REGISTRY: dict[str, Observable] = {}


def register(
    *axes: str, description: str, unit: str = "", scale: Measure | None = None
) -> Callable[[Measure], Measure]:
    """Enter a function under its own name."""

    def enter(function: Measure) -> Measure:
        name = getattr(function, "__name__")  # noqa: B009
        REGISTRY[name] = Observable(name, function, axes, description, unit, scale)
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
