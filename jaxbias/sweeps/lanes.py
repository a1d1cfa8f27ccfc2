"""One program per bucket: blocks of lanes, vmapped inside and mapped over outside.

A lane is a run at one tolerance. Block size depends on the sizes of the problem
alone, never on how many lanes there are, so a run alone, in a batch of 64 and in a
shard goes through the same arithmetic.

A call draws first and solves then. Lanes of one seed share their random numbers, which
are drawn once for all of them; solved together are those that take about as many steps.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.solve import solve
from jaxbias.sweeps.bucket import Bucket, identity
from jaxbias.sweeps.costs import call_size

Observed = tuple[tuple[str, Callable[..., Any]], ...]
Integrator = Adaptive | FixedStep


class Lanes(NamedTuple):
    """What rides in the vmap; one entry a lane."""

    seed: np.ndarray
    width: np.ndarray
    noise: np.ndarray
    scale: np.ndarray
    factor: np.ndarray

    def take(self, index: np.ndarray) -> "Lanes":
        """The lanes at these places."""
        return Lanes(*(column[index] for column in self))


@dataclasses.dataclass(frozen=True)
class Program:
    """What is compiled once: the static half of a bucket.

    Attributes:
        flow: The flow all lanes share; compared by ``identity``.
        identity: See ``bucket.identity``.
        padded: Neurons in the arrays.
        dtype: ``float32`` or ``float64``.
        times: When to observe.
        observe: Names and functions of a snapshot.
        integrator: Of every lane; a lane's factor multiplies its tolerance.
        form: ``auto``, ``reduced`` or ``raw``.
        keep: Rows to return with the final weights: ``centres``, ``samples``, None.
        group: Lanes that are drawn together, all of one seed.
        groups: Groups in a call.
        block: Lanes in a vmapped block.
        blocks: Blocks in a call.
    """

    flow: GradientFlow = dataclasses.field(compare=False)
    identity: tuple[Hashable, ...]
    padded: int
    dtype: str
    times: tuple[float, ...]
    observe: Observed
    integrator: Integrator
    form: str
    keep: str | None
    group: int
    groups: int
    block: int
    blocks: int


def make_program(
    bucket: Bucket,
    lanes: int,
    *,
    dtype: str,
    times: tuple[float, ...],
    observe: Observed,
    integrator: Integrator | None,
    form: str = "auto",
    keep: str | None = None,
) -> Program:
    """The program of a bucket whose largest batch has this many lanes."""
    size = call_size(
        bucket.flow,
        bucket.padded,
        bucket.lanes_per_seed,
        lanes,
        dtype,
        keep is not None,
        jax.default_backend(),
    )
    return Program(
        bucket.flow,
        identity(bucket.flow),
        bucket.padded,
        dtype,
        times,
        observe,
        Adaptive() if integrator is None else integrator,
        form,
        keep,
        *size,
    )


def split_by_step(
    program: Program, lanes: Lanes
) -> Iterator[tuple[Program, np.ndarray]]:
    """Programs and the places of their lanes, which are sorted by falling factor.

    A tolerance rides in the lanes; a fixed step decides how many steps there are, so
    each factor of it is a program of its own.
    """
    if isinstance(program.integrator, Adaptive):
        yield program, np.arange(len(lanes.factor))
        return
    for factor in sorted(set(lanes.factor.tolist()), reverse=True):
        method, step = program.integrator.method, program.integrator.step
        finer = FixedStep(method, float(step) * float(factor))
        chosen = np.flatnonzero(lanes.factor == factor)
        yield dataclasses.replace(program, integrator=finer), chosen


@functools.lru_cache(maxsize=64)
def compiled(program: Program) -> Callable[..., dict[str, Any]]:
    """The jitted function ``(key, lanes, drawn, order, active) -> values``.

    ``lanes`` have the leading axes (groups, group), ``order`` their places for each of
    (blocks, block); ``drawn`` (groups,) and ``active`` (blocks,) say which of them
    count. Others are skipped and return zeros.
    """
    degree = program.flow.network.activation.degree

    def draw(key: Array, lane: Lanes) -> Problem:
        return program.flow.problem(
            key,
            noise=jnp.asarray(lane.noise),
            scale=jnp.asarray(lane.scale),
            width=jnp.asarray(lane.width),
            padded=program.padded,
            dtype=program.dtype,
        )

    def run(problem: Problem, factor: Array) -> dict[str, Any]:
        integrator = program.integrator
        if isinstance(integrator, Adaptive):
            rtol = integrator.tolerance(degree, program.flow.loss) * factor
            integrator = eqx.tree_at(
                lambda i: i.rtol, integrator, rtol, is_leaf=lambda x: x is None
            )
        done = solve(
            problem, program.times, dict(program.observe), integrator, program.form
        )
        values: dict[str, Any] = {
            "observables": done.observables,
            "status": done.status,
            **{name: done.statistics[name] for name in STATISTICS},
        }
        if program.keep is not None:
            data = problem.dataset
            centres = program.keep == "centres"
            values["final"] = done.final
            values["rows"] = data.centres if centres else data.inputs
            values["row_labels"] = data.centre_labels if centres else data.labels
        return values

    def draw_group(key: Array, group: Lanes) -> Problem:
        # The key has no lane axis, so the vmap leaves the draws outside.
        own = _draws.fold_in(key, group.seed[0])
        return jax.vmap(functools.partial(draw, own))(group)

    def unless_idle(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(arguments: tuple[Any, Array]) -> Any:
            given, busy = arguments
            shapes = jax.eval_shape(function, given)
            idle = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
            return lax.cond(busy, lambda: function(given), lambda: idle)

        return called

    @jax.jit
    def call(
        key: Array, lanes: Lanes, drawn: Array, order: Array, active: Array
    ) -> dict[str, Any]:
        # Random bits drawn one group at a time compile in a third of the time on a CPU,
        # where a vmap would also fuse them into everything that reads them.
        draws = functools.partial(draw_group, key)
        if jax.default_backend() == "cpu":
            problems = lax.map(unless_idle(draws), (lanes, drawn))
        else:
            problems = jax.vmap(draws)(lanes)
        factors = jnp.asarray(lanes.factor, program.dtype)
        given = (problems, factors)
        given = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), given)

        def solved(places: Array) -> dict[str, Any]:
            return jax.vmap(run)(*jax.tree.map(lambda x: x[places], given))

        return lax.map(unless_idle(solved), (order, active))

    return call


STATISTICS = (
    "evaluations",
    "rejected",
    "sliding",
    "repelling",
    "error_estimate",
    "balance_error",
)


def run_lanes(
    program: Program,
    key: Key[Array, ""],
    lanes: Lanes,
    finish: Callable[[dict[str, Any], int], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Push lanes through a program, segment by segment.

    Args:
        program: Of the lanes' bucket.
        key: The stream's key, into which every lane folds its seed.
        lanes: Any number of lanes.
        finish: Called after each segment with its values (leading axis lane, always
            equally long) and how many of them count; returns what to keep.

    Returns:
        What ``finish`` returned, joined along the lanes and in their order.
    """
    parts: list[dict[str, np.ndarray]] = []
    places: list[np.ndarray] = []
    call = compiled(program)
    groups = _seed_groups(lanes.seed, program.group)
    for start in range(0, len(groups), program.groups):
        here = groups[start : start + program.groups]
        busy = np.arange(program.groups) < len(here)
        here = here + here[-1:] * (program.groups - len(here))
        drawn = np.stack([np.resize(group, program.group) for group in here])
        solved, order = _solving_order(lanes, drawn)
        # The last block is filled up with its own last lane, which costs no step.
        filled = np.resize(order[-1:], program.blocks * program.block)
        filled[: len(order)] = order
        shape = (program.blocks, program.block)
        active = np.arange(program.blocks) * program.block < len(order)
        values = call(key, lanes.take(drawn), busy, filled.reshape(shape), active)
        values = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), values)
        parts.append(finish(values, len(order)))
        places.append(solved)
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
    ranked = np.lexsort((own.width, own.noise, own.scale, -own.factor))
    return places[ranked], order[ranked]
