"""Tests of the contract that every experiment takes: of runs alone and in company."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import _draws
from jaxbias._axes import SEED
from jaxbias.experiments.experiment import Experiment, Outcome, point_of
from jaxbias.experiments.fields import get_at
from jaxbias.experiments.walk import (
    ContractError,
    Point,
    Walk,
    constants,
    differing,
    fields,
)

FACTOR = "factor"
# Entries of an array that a program may hold.
_LARGE = 1000


@dataclasses.dataclass(frozen=True)
class Bench:
    """An experiment and what its tests share."""

    experiment: Experiment
    walk: Walk
    wide: Walk
    keys: list[Any]
    points: list[Point]
    shared: Any
    tolerance: float

    @classmethod
    def of(cls, experiment: Experiment, seeds: int, tolerance: float) -> "Bench":
        """The bench of an experiment."""
        size = None
        if experiment.size is not None:
            size = int(get_at(experiment, experiment.size))
        return cls(
            experiment,
            Walk.of(experiment, size),
            Walk.of(experiment, None if size is None else 2 * size),
            [_draws.seed_key(seed) for seed in range(seeds)],
            _points(experiment),
            experiment.shared(),
            tolerance,
        )

    def same(self, kept_not: str, one: Any, other: Any, what: str, fix: str) -> None:
        """Refuse two outcomes that differ by more than rounding."""
        found = differing(one, other, self.tolerance)
        if found is not None:
            raise ContractError(kept_not, found, what, fix)


def _points(experiment: Experiment) -> list[Point]:
    """The experiment's point, and three others that its program must take as well."""
    own = dict(zip(experiment.batched, point_of(experiment), strict=True))
    points = []
    for share, wider in ((1.0, 1), (0.5, 1), (0.75, 2), (0.9, 1)):
        point = {
            name: value * (wider if name == experiment.size else 1)
            if isinstance(value, int)
            else value * share
            for name, value in own.items()
        }
        arrays = {name: jnp.asarray(value) for name, value in point.items()}
        seed = jnp.zeros((), jnp.uint32)
        points.append(arrays | {FACTOR: jnp.asarray(1.0), SEED: seed})
    return points


def purity(bench: Bench) -> None:
    """The same numbers each time, with jit and without, and nothing carried out."""
    walk, point, shared = bench.walk, bench.points[0], bench.shared
    spans, key = walk.spans(), bench.keys[0]
    repeat = (
        "a state outside of the experiment, or random numbers that are not its key's"
    )
    try:
        with jax.checking_leaks():
            program = jax.make_jaxpr(walk.whole)(key, point, shared, spans)
    except Exception as error:
        # JAX has no class of its own for it.
        if not str(error).startswith("Leaked"):
            raise
        raise ContractError(
            "purity",
            "a traced array",
            f"outlives its trace ({str(error).splitlines()[0]})",
            "members that return what they compute, and write nothing elsewhere",
        ) from error
    for held in constants(program):
        if np.size(held) > _LARGE:
            raise ContractError(
                "shared",
                f"an array of shape {np.shape(held)}",
                "is held by the program itself",
                "shared(), whose arrays are arguments of the program",
            )
    for key in bench.keys:
        bare = walk.draw(key, point, shared)
        found = differing(bare, walk.draw(key, point, shared))
        if found is not None:
            raise ContractError(
                "purity",
                f"draw: {found}",
                "differs between two calls",
                f"less of {repeat}",
            )
    runs = [
        jax.jit(lambda *given: walk.whole(*given))(key, point, shared, spans)
        for _ in range(2)
    ]
    found = differing(*runs)
    if found is not None:
        raise ContractError(
            "purity", found, "differs between two traces", f"less of {repeat}"
        )
    bare = walk.bare(key, point, shared)
    fix = "the same arithmetic whether arrays are traced or not"
    bench.same("purity", runs[0], bare, "differs with jit and without", fix)


def columns(bench: Bench) -> None:
    """A column for every variable, with the axes that it has."""
    outcome, _ = jax.eval_shape(
        bench.walk.whole,
        bench.keys[0],
        bench.points[0],
        bench.shared,
        bench.walk.spans(),
    )
    columns = bench.experiment.columns()
    seen = {**outcome.observables, **outcome.statistics}
    for name in sorted(columns.keys() ^ seen.keys()):
        where = "columns" if name in columns else "outcomes"
        raise ContractError(
            "columns", name, f"is in the {where} alone", "a column for every variable"
        )
    for name, value in seen.items():
        axes = columns[name].axes
        if len(axes) != len(value.shape):
            raise ContractError(
                "columns",
                name,
                f"of shape {value.shape} has the axes {axes}",
                "one name for each axis, 'time' first where it is an observable",
            )


def company(bench: Bench) -> None:
    """A run is what it is alone, whichever other points are in its block."""
    walk, shared, spans = bench.wide, bench.shared, bench.wide.spans()
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *bench.points)
    block = jax.jit(jax.vmap(walk.whole, in_axes=(None, 0, None, None)))
    alone = jax.jit(walk.whole)
    fix = "arithmetic within a run, and no shape that hangs on a value"
    for key in bench.keys:
        many = block(key, together, shared, spans)
        for lane, point in enumerate(bench.points):
            own = jax.tree.map(lambda leaf, lane=lane: leaf[lane], many)
            one = alone(key, point, shared, spans)
            bench.same("company", own, one, "differs in a block of runs", fix)


def padding(bench: Bench) -> None:
    """Entries beyond the size of a run change nothing."""
    point, shared, spans = bench.points[0], bench.shared, bench.walk.spans()
    narrow, wide = jax.jit(bench.walk.whole), jax.jit(bench.wide.whole)
    for key in bench.keys:
        outcomes = [run(key, point, shared, spans)[0] for run in (narrow, wide)]
        bench.same(
            "padding",
            *_cropped(*outcomes),
            f"differs when arrays have {bench.wide.padded} entries, not"
            f" {bench.walk.padded}",
            f"a mask: entries from {bench.experiment.size} on count for nothing, and"
            " entry i is drawn from fold_in(key, i)",
        )


def _cropped(one: Outcome, other: Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries that both have, by field."""
    first, second = fields(one), fields(other)
    for name in first.keys() & second.keys():
        shapes = np.shape(first[name]), np.shape(second[name])
        if len(shapes[0]) == len(shapes[1]):
            least = tuple(slice(min(sizes)) for sizes in zip(*shapes, strict=True))
            first[name], second[name] = first[name][least], second[name][least]
    return first, second
