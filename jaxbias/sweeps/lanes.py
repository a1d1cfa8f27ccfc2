"""One program per bucket: blocks of lanes, vmapped inside and mapped over outside.

A lane is a run at one tolerance. Block size depends on the sizes of the problem
alone, never on how many lanes there are, so a run alone, in a batch of 64 and in a
shard goes through the same arithmetic.
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

from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.solve import solve
from jaxbias.sweeps.bucket import Bucket, dim_of, identity

# Entries of the scores in one block: 8 lanes of n = h = 200 stay in the cache.
_CACHED_ENTRIES = 8 * 200 * 200
_CPU_LANES, _DEVICE_LANES = 64, 4096
_DEVICE_BYTES, _COPIES = 8 * 2**30, 20
_SEGMENT_BYTES = 256 * 2**20

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
    block: int
    blocks: int

    @property
    def lanes(self) -> int:
        """Lanes in one call."""
        return self.block * self.blocks


def block_size(samples: int, padded: int, dtype: str, backend: str) -> int:
    """Lanes that are vmapped together.

    On a CPU as many as keep their scores in the cache, at most 64; elsewhere as many
    as fit in memory, at most 4096.
    """
    entries = samples * padded
    if backend == "cpu":
        return int(np.clip(_CACHED_ENTRIES // entries, 1, _CPU_LANES))
    lane = entries * np.dtype(dtype).itemsize * _COPIES
    return int(np.clip(_DEVICE_BYTES // lane, 1, _DEVICE_LANES))


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
    backend = jax.default_backend()
    block = block_size(bucket.samples, bucket.padded, dtype, backend)
    most = max(1, _CPU_LANES // block)
    if keep is not None:
        rows = bucket.padded + (bucket.samples if keep == "samples" else 0)
        returned = rows * dim_of(bucket.flow) * np.dtype(dtype).itemsize
        most = max(1, min(most, _SEGMENT_BYTES // (block * returned)))
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
        block,
        min(most, -(-lanes // block)),
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
    """The jitted function ``(key, lanes, active) -> values`` of a program.

    ``lanes`` and ``active`` have the leading axes (blocks, block) and (blocks,); an
    inactive block is skipped and returns zeros.
    """
    degree = program.flow.network.activation.degree

    def draw(key: Array, lane: Lanes) -> Problem:
        return program.flow.problem(
            jax.random.fold_in(key, lane.seed),
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

    def block(key: Array, lanes: Lanes) -> dict[str, Any]:
        # Random bits drawn lane by lane compile in a third of the time on a CPU, where
        # a vmap would also fuse them into everything that reads them.
        one = functools.partial(draw, key)
        in_turn = jax.default_backend() == "cpu"
        problems = lax.map(one, lanes) if in_turn else jax.vmap(one)(lanes)
        return jax.vmap(run)(problems, jnp.asarray(lanes.factor, program.dtype))

    @jax.jit
    def call(key: Array, lanes: Lanes, active: Array) -> dict[str, Any]:
        shapes = jax.eval_shape(block, key, jax.tree.map(lambda x: x[0], lanes))
        idle = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        def one(arguments):
            lanes, busy = arguments
            return lax.cond(busy, lambda: block(key, lanes), lambda: idle)

        return lax.map(one, (lanes, active))

    return call


STATISTICS = ("evaluations", "rejected", "sliding", "repelling")


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
            ``program.lanes`` long) and how many of them count; returns what to keep.

    Returns:
        What ``finish`` returned, joined along the lanes.
    """
    parts: list[dict[str, np.ndarray]] = []
    total = len(lanes.seed)
    call = compiled(program)
    for start in range(0, total, program.lanes):
        count = min(program.lanes, total - start)
        # The last block is filled up with its own last lane, which costs no step.
        index = np.minimum(start + np.arange(program.lanes), total - 1)
        shape = (program.blocks, program.block)
        segment = Lanes(*(column.reshape(shape) for column in lanes.take(index)))
        active = np.arange(program.blocks) * program.block < count
        values = call(key, segment, active)
        values = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), values)
        parts.append(finish(values, count))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
