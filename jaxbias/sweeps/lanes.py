"""One program per bucket: blocks of lanes, vmapped inside and mapped over outside.

A lane is a run at one tolerance. Block size depends on the sizes of the problem
alone, never on how many lanes there are, so a run alone, in a batch of 64 and in a
shard goes through the same arithmetic.

A call draws first and solves then. Lanes of one seed share their random numbers, which
are drawn once for all of them; solved together are those that take about as many steps.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias._axes import SEED
from jaxbias.experiments.experiment import Experiment, Outcome, abstract
from jaxbias.experiments.measurement import Measurement
from jaxbias.sweeps.bucket import Bucket
from jaxbias.sweeps.costs import call_size

FACTOR = "factor"


class Lanes(NamedTuple):
    """What rides in the vmap; one entry a lane.

    Attributes:
        seed: Folded into the key.
        point: By the dotted field, and ``"factor"`` of the tolerance.
    """

    seed: np.ndarray
    point: dict[str, np.ndarray]

    def take(self, index: np.ndarray) -> "Lanes":
        """The lanes at these places."""
        return Lanes(
            self.seed[index], {name: own[index] for name, own in self.point.items()}
        )


@dataclasses.dataclass(frozen=True)
class Program:
    """What is compiled once: the static half of a bucket.

    Attributes:
        template: What all lanes share, without data sets, which are arguments.
        padded: Size of the arrays; 0 where there is none.
        measurements: Whose needs are returned.
        group: Lanes that are drawn together, all of one seed.
        groups: Groups in a call.
        block: Lanes in a vmapped block.
        blocks: Blocks in a call.
    """

    template: Experiment
    padded: int
    measurements: tuple[Measurement, ...]
    group: int
    groups: int
    block: int
    blocks: int


def make_program(
    bucket: Bucket, lanes: int, measurements: tuple[Measurement, ...] = ()
) -> Program:
    """The program of a bucket whose largest batch has this many lanes."""
    size = call_size(
        bucket.experiment.work(bucket.padded or None),
        bucket.lanes_per_seed,
        lanes,
        bool(measurements),
        jax.default_backend(),
    )
    template = abstract(bucket.experiment.template())
    return Program(template, bucket.padded, measurements, *size)


def split_by_factor(
    program: Program, lanes: Lanes
) -> Iterator[tuple[Program, np.ndarray]]:
    """Programs and the places of their lanes, which are sorted by falling factor.

    A tolerance rides in the lanes; a fixed step decides how many steps there are, so
    each factor of it is a program of its own.
    """
    factors = lanes.point[FACTOR]
    if program.template.at_factor(1.0) is None:
        yield program, np.arange(len(factors))
        return
    for factor in sorted(set(factors.tolist()), reverse=True):
        finer = program.template.at_factor(factor)
        assert finer is not None
        yield (
            dataclasses.replace(program, template=finer),
            np.flatnonzero(factors == factor),
        )


def draw_lanes(
    program: Program, key: Array, lanes: Lanes, drawn: Array, shared: Any
) -> Any:
    """The problems of all lanes of a call, groups after each other."""
    template = program.template

    def group(lanes: Lanes) -> Any:
        # Key and seed have no lane axis, so the vmap leaves the draws outside.
        seed = lanes.seed[0]
        own = _draws.fold_in(key, seed)

        def one(point: Any) -> Any:
            point = {**point, SEED: seed}
            return template.draw(own, point, shared, program.padded or None)

        return jax.vmap(one)(lanes.point)

    # Random bits drawn one group at a time compile in a third of the time on a CPU,
    # where a vmap would also fuse them into everything that reads them.
    if jax.default_backend() == "cpu":
        problems = lax.map(unless_idle(group), (lanes, drawn))
    else:
        problems = jax.vmap(group)(lanes)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), problems)


def unless_idle(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of busy blocks; zeros for the others, at no cost."""

    def called(arguments: tuple[Any, Array]) -> Any:
        given, busy = arguments
        shapes = jax.eval_shape(function, given)
        idle = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return lax.cond(busy, lambda: function(given), lambda: idle)

    return called


@functools.lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., tuple[Outcome, Any]]:
    """The jitted function ``(key, lanes, drawn, order, active, shared)``.

    ``lanes`` have the leading axes (groups, group), ``order`` their places for each of
    (blocks, block); ``drawn`` (groups,) and ``active`` (blocks,) say which of them
    count. Others are skipped and return zeros. It gives outcomes and what the
    measurements need.
    """
    template = program.template

    def run(problem: Any, shared: Any) -> tuple[Outcome, Any]:
        outcome, kept = template.run(problem, shared)
        return outcome, [one.needs(kept) for one in program.measurements]

    @jax.jit
    def call(
        key: Array,
        lanes: Lanes,
        drawn: Array,
        order: Array,
        active: Array,
        shared: Any,
    ) -> tuple[Outcome, Any]:
        problems = draw_lanes(program, key, lanes, drawn, shared)

        def solved(places: Array) -> tuple[Outcome, Any]:
            chosen = jax.tree.map(lambda x: x[places], problems)
            return jax.vmap(lambda problem: run(problem, shared))(chosen)

        return lax.map(unless_idle(solved), (order, active))

    return call


class Call(NamedTuple):
    """The arguments of one call of a program, and which lanes they are.

    Attributes:
        lanes: With the leading axes (groups, group).
        drawn: Which groups count.
        order: Places of the lanes among those, (blocks, block).
        active: Which blocks count.
        used: How many solved lanes count; they come first.
        places: Of those among all lanes.
    """

    lanes: Lanes
    drawn: np.ndarray
    order: np.ndarray
    active: np.ndarray
    used: int
    places: np.ndarray


def calls_of(program: Program, lanes: Lanes) -> Iterator[Call]:
    """The calls by which lanes are pushed through a program."""
    groups = _seed_groups(lanes.seed, program.group)
    shape = (program.blocks, program.block)
    for start in range(0, len(groups), program.groups):
        here = groups[start : start + program.groups]
        busy = np.arange(program.groups) < len(here)
        here = here + here[-1:] * (program.groups - len(here))
        drawn = np.stack([np.resize(group, program.group) for group in here])
        places, order = _solving_order(lanes, drawn)
        # The last block is filled up with its own last lane, which costs no step.
        filled = np.resize(order[-1:], program.blocks * program.block)
        filled[: len(order)] = order
        active = np.arange(program.blocks) * program.block < len(order)
        yield Call(
            lanes.take(drawn), busy, filled.reshape(shape), active, len(order), places
        )


def idle_call(program: Program, lanes: Lanes) -> Call:
    """A call of which no lane counts, so that it compiles and costs nothing."""
    call = next(calls_of(program, lanes))
    return call._replace(
        drawn=np.zeros_like(call.drawn), active=np.zeros_like(call.active), used=0
    )


Finish = Callable[[Outcome, Any, int], dict[str, np.ndarray]]


def run_lanes(
    program: Program, key: Key[Array, ""], lanes: Lanes, shared: Any, finish: Finish
) -> dict[str, np.ndarray]:
    """Push lanes of an experiment of one piece through its program, call by call.

    Args:
        program: Of the lanes' bucket.
        key: The stream's key, into which every lane folds its seed.
        lanes: Any number of lanes.
        shared: What all runs share.
        finish: Called after each call with its outcomes, what measurements need
            (leading axis lane, always equally long) and how many lanes count; returns
            what to keep.

    Returns:
        What ``finish`` returned, joined along the lanes and in their order.
    """
    parts: list[dict[str, np.ndarray]] = []
    places: list[np.ndarray] = []
    function = compiled(program)
    for call in calls_of(program, lanes):
        found = function(key, call.lanes, call.drawn, call.order, call.active, shared)
        outcome, needed = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found)
        parts.append(finish(outcome, needed, call.used))
        places.append(call.places)
    return in_order(parts, places)


def in_order(
    parts: list[dict[str, np.ndarray]], places: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """What calls gave, joined along the lanes and in their order."""
    back = np.argsort(np.concatenate(places))
    return {n: np.concatenate([part[n] for part in parts])[back] for n in parts[0]}


def _seed_groups(seeds: np.ndarray, size: int) -> list[np.ndarray]:
    """Places of lanes of the same seed, at most so many together, as they come."""
    by_seed: dict[int, list[int]] = {}
    for place, seed in enumerate(seeds.tolist()):
        by_seed.setdefault(seed, []).append(place)
    return [
        np.asarray(own[i : i + size])
        for own in by_seed.values()
        for i in range(0, len(own), size)
    ]


def _solving_order(lanes: Lanes, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lanes of a call in the order in which they are solved.

    A vmapped loop takes the steps of its slowest lane, so next to each other are lanes
    of like tolerance and like point.

    Returns:
        Their places among all lanes, and among those drawn.
    """
    places, order = np.unique(drawn, return_index=True)
    own = lanes.take(places)
    riding = [values for name, values in own.point.items() if name != FACTOR]
    ranked = np.lexsort((*riding, -own.point[FACTOR]))
    return places[ranked], order[ranked]
