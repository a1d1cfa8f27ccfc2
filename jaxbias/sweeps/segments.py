"""Experiments with segments: begin, advance piece by piece, keep.

One program advances all segments of a call, several at once where they are short.
Between them the host may look, stop, or write the state down.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Key

from jaxbias.experiments.experiment import Experiment, Outcome
from jaxbias.sweeps.checkpoint import EVERY_SECONDS, Checkpoint
from jaxbias.sweeps.lanes import (
    Call,
    Finish,
    Lanes,
    Program,
    calls_of,
    draw_lanes,
    in_order,
    unless_idle,
)

Arrays = dict[str, np.ndarray]
_CALL, _PIECES = "call", "pieces"


@functools.lru_cache(maxsize=64)
def begun(program: Program) -> Callable[..., tuple[Any, Any]]:
    """The jitted function from a call's arguments to problems and first states."""
    template = program.template

    @jax.jit
    def begin(
        key: Array, lanes: Lanes, drawn: Array, order: Array, active: Array, shared: Any
    ) -> tuple[Any, Any]:
        problems = draw_lanes(program, key, lanes, drawn, shared)
        problems = jax.tree.map(lambda x: x[order], problems)
        start = jax.vmap(lambda problem: template.start(problem, shared))
        return problems, lax.map(unless_idle(start), (problems, active))

    return begin


@functools.lru_cache(maxsize=64)
def advanced(program: Program) -> Callable[..., tuple[Any, Outcome]]:
    """The jitted function that takes states over some segments.

    ``ends`` are two arrays (segment,); outcomes lead with (blocks, block, segment).
    """
    template = program.template

    @functools.partial(jax.jit, donate_argnums=1)
    def advance(
        problems: Any,
        states: Any,
        ends: tuple[Array, Array],
        active: Array,
        shared: Any,
    ) -> tuple[Any, Outcome]:
        def one(problem: Any, state: Any) -> tuple[Any, Outcome]:
            def step(state: Any, ends: tuple[Array, Array]) -> tuple[Any, Outcome]:
                return template.advance(problem, state, ends, shared)

            return lax.scan(step, state, ends)

        block = lambda given: jax.vmap(one)(*given)
        return lax.map(unless_idle(block), ((problems, states), active))

    return advance


@functools.lru_cache(maxsize=64)
def finished(program: Program) -> Callable[..., list[Any]]:
    """The jitted function from problems and states to what measurements need."""

    @jax.jit
    def finish(problems: Any, states: Any, shared: Any) -> list[Any]:
        def one(problem: Any, state: Any) -> list[Any]:
            kept = program.template.kept(problem, state, shared)
            return [each.needs(kept) for each in program.measurements]

        return lax.map(lambda given: jax.vmap(one)(*given), (problems, states))

    return finish


def pieces_of(experiment: Experiment, lanes: int, padded: int) -> np.ndarray:
    """Ends of segments as (piece, segment, from and to); short ones come together.

    The last piece is filled up with segments of no length, which change nothing.
    """
    ends = np.asarray(experiment.segments, np.int32)
    begins = np.concatenate([np.zeros(1, np.int32), ends[:-1]])
    spans = np.stack([begins, ends], axis=1)
    whole = experiment.work(padded or None).seconds * lanes
    together = math.floor(EVERY_SECONDS * len(spans) / max(whole, 1e-9))
    if type(experiment).between is not Experiment.between:
        together = 1
    together = min(max(together, 1), len(spans))
    missing = -len(spans) % together
    idle = np.full((missing, 2), ends[-1], np.int32)
    return np.concatenate([spans, idle]).reshape(-1, together, 2)


def run_segments(
    program: Program,
    key: Key[Array, ""],
    lanes: Lanes,
    shared: Any,
    finish: Finish,
    keeper: Checkpoint | None = None,
) -> Arrays:
    """Push lanes of an experiment with segments through its programs, call by call.

    Args:
        program: Of the lanes' bucket.
        key: The stream's key, into which every lane folds its seed.
        lanes: Any number of lanes.
        shared: What all runs share.
        finish: As of ``lanes.run_lanes``; outcomes have the axis time second.
        keeper: Where states are kept between pieces, so that a killed batch goes on.
    """
    found = None if keeper is None else keeper.load()
    parts: list[Arrays] = []
    places: list[np.ndarray] = []
    for number, call in enumerate(calls_of(program, lanes)):
        places.append(call.places)
        if found is not None and number < int(found[_CALL]):
            parts.append(_under(found, f"part:{number}:"))
            continue
        at = found if found is not None and number == int(found[_CALL]) else None
        save = None if keeper is None else functools.partial(_save, keeper, parts)
        outcome, needed = _one_call(program, key, call, shared, at, save)
        parts.append(finish(outcome, needed, call.used))
    return in_order(parts, places)


def compile_segments(program: Program, key: Array, call: Call, shared: Any) -> None:
    """Compile what begins and advances a call."""
    problems, states = begun(program)(
        key, call.lanes, call.drawn, call.order, call.active, shared
    )
    pieces = pieces_of(program.template, call.order.size, program.padded)
    begins, ends = pieces[0].T
    advanced(program)(problems, states, (begins, ends), call.active, shared)


def _one_call(
    program: Program,
    key: Array,
    call: Call,
    shared: Any,
    found: Arrays | None,
    save: Callable[..., None] | None,
) -> tuple[Outcome, Any]:
    """Outcomes over all segments, and what measurements need, lanes leading."""
    template = program.template
    problems, states = begun(program)(
        key, call.lanes, call.drawn, call.order, call.active, shared
    )
    pieces = pieces_of(template, call.order.size, program.padded)
    outcomes: list[Outcome] = []
    if found is not None:
        states, outcomes = _restored(found, states)
    advance = advanced(program)
    for number in range(len(outcomes), len(pieces)):
        begins, ends = pieces[number].T
        states, outcome = advance(problems, states, (begins, ends), call.active, shared)
        outcomes.append(jax.tree.map(np.asarray, outcome))
        if type(template).between is not Experiment.between:
            states = _between(template, states, outcomes[-1], number)
        if save is not None and number + 1 < len(pieces):
            save(states, outcomes)
    count = len(template.segments)
    joined = jax.tree.map(lambda *a: np.concatenate(a, 2)[:, :, :count], *outcomes)
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), joined)
    last = lambda a: a[:, -1]
    outcome = Outcome(
        flat.observables, last(flat.status), jax.tree.map(last, flat.statistics)
    )
    needed = finished(program)(problems, states, shared)
    return outcome, jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), needed)


def _between(template: Experiment, states: Any, outcome: Outcome, segment: int) -> Any:
    """States after the host has seen each lane."""
    states = jax.tree.map(np.asarray, states)
    blocks, block = jax.tree.leaves(states)[0].shape[:2]
    new = [
        template.between(
            jax.tree.map(lambda a, i=i, j=j: a[i, j], states),
            jax.tree.map(lambda a, i=i, j=j: a[i, j, 0], outcome),
            segment,
        )
        for i in range(blocks)
        for j in range(block)
    ]
    return jax.tree.map(
        lambda *a: jnp.stack(a).reshape(blocks, block, *np.shape(a[0])), *new
    )


def _save(
    keeper: Checkpoint, parts: list[Arrays], states: Any, outcomes: list[Outcome]
) -> None:
    def make() -> Arrays:
        saved = {_CALL: np.asarray(len(parts)), _PIECES: np.asarray(len(outcomes))}
        for number, part in enumerate(parts):
            saved |= {f"part:{number}:{name}": a for name, a in part.items()}
        for number, leaf in enumerate(jax.tree.leaves(states)):
            saved[f"state:{number}"] = np.asarray(leaf)
        for piece, outcome in enumerate(outcomes):
            saved[f"status:{piece}:"] = np.asarray(outcome.status)
            for kind, values in (
                ("observable", outcome.observables),
                ("statistic", outcome.statistics),
            ):
                saved |= {
                    f"{kind}:{piece}:{n}": np.asarray(v) for n, v in values.items()
                }
        return saved

    keeper.save(make)


def _restored(found: Arrays, states: Any) -> tuple[Any, list[Outcome]]:
    """States and outcomes as they were saved; the first ones if they do not fit."""
    leaves, structure = jax.tree.flatten(states)
    saved = [found.get(f"state:{number}") for number in range(len(leaves))]
    if any(a is None or a.shape != b.shape for a, b in zip(saved, leaves, strict=True)):
        return states, []
    outcomes: list[Outcome] = []
    for piece in range(int(found[_PIECES])):
        seen, statistics = (
            _under(found, f"{kind}:{piece}:") for kind in ("observable", "statistic")
        )
        outcome: Any = (seen, found[f"status:{piece}:"], statistics)
        outcomes.append(Outcome(*outcome))
    return jax.tree.unflatten(structure, list(map(jnp.asarray, saved))), outcomes


def _under(found: Arrays, start: str) -> Arrays:
    """Arrays whose names begin so, by the rest of their names."""
    return {n.removeprefix(start): a for n, a in found.items() if n.startswith(start)}
