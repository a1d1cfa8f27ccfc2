"""Tests of the contract that experiments with segments take."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.experiments.contract_runs import Bench
from jaxbias.experiments.experiment import Experiment
from jaxbias.experiments.walk import ContractError, differing, fields


def one_trace(bench: Bench) -> None:
    """All segments go through one program."""
    walk, key, point, shared = bench.walk, bench.keys[0], bench.points[0], bench.shared
    problem = jax.jit(walk.draw)(key, point, shared)
    state = jax.jit(walk.start)(problem, shared)
    traces = []

    @jax.jit
    def advance(problem: Any, state: Any, ends: Any, shared: Any) -> Any:
        traces.append(ends)
        return walk.advance(problem, state, ends, shared)

    for ends in zip(*walk.spans(), strict=True):
        before = _types(state)
        state, _ = advance(problem, state, ends, shared)
        after = _types(state)
        for name in before | after:
            if before.get(name) == after.get(name):
                continue
            raise ContractError(
                "one trace",
                f"state: {name}",
                f"was {before.get(name)} and is {after.get(name)} after advance",
                "start and advance that give the same types, such as"
                " jnp.zeros((), dtype) and x.astype(dtype)",
            )
    if len(traces) > 1:
        raise ContractError(
            "one trace", "advance", f"was traced {len(traces)} times", "traced ends"
        )


def _types(tree: Any) -> dict[str, tuple[Any, ...]]:
    """Shape, type and weakness of every field."""
    return {
        name: (str(leaf.dtype), leaf.shape, getattr(leaf, "weak_type", False))
        for name, leaf in fields(jax.tree.map(jnp.asarray, tree)).items()
    }


def idle(bench: Bench) -> None:
    """A segment of no length leaves the state as it is."""
    walk, key, point, shared = bench.walk, bench.keys[0], bench.points[0], bench.shared
    problem = jax.jit(walk.draw)(key, point, shared)
    state = jax.jit(walk.start)(problem, shared)
    advance = jax.jit(walk.advance)
    for begin, end in zip(*walk.spans(), strict=True):
        again, _ = advance(problem, state, (begin, begin), shared)
        found = differing(again, state)
        if found is not None:
            raise ContractError(
                "idle",
                f"state: {found}",
                f"changes in a segment from {int(begin)} to {int(begin)}",
                "jax.lax.fori_loop(*ends, ...)",
            )
        state, _ = advance(problem, state, (begin, end), shared)


def kill(bench: Bench) -> None:
    """A run that is killed after each segment, and goes on, is the same bit for bit."""
    walk, point, shared = bench.walk, bench.points[0], bench.shared
    draw, start, advance = map(jax.jit, (walk.draw, walk.start, walk.advance))
    for key in bench.keys:
        problem = draw(key, point, shared)
        state = start(problem, shared)
        resumed = state
        for number, ends in enumerate(zip(*walk.spans(), strict=True)):
            state, outcome = advance(problem, state, ends, shared)
            state = _between(bench.experiment, state, outcome, number)
            put_back = jax.tree.map(jnp.asarray, _on_host(resumed))
            again = draw(key, point, shared)
            resumed, seen = advance(again, put_back, ends, shared)
            resumed = _between(bench.experiment, resumed, seen, number)
            found = differing((resumed, seen), (state, outcome))
            if found is not None:
                raise ContractError(
                    "kill",
                    found,
                    f"differs after a restart in segment {number}",
                    "a state that holds all that a segment hands to the next",
                )


def _on_host(state: Any) -> Any:
    for name, leaf in fields(state).items():
        if jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key):
            raise ContractError(
                "kill",
                f"state: {name}",
                "is a typed key, which no file can hold",
                "jax.random.key_data(key)",
            )
    return jax.tree.map(np.array, state)


def _between(experiment: Experiment, state: Any, outcome: Any, segment: int) -> Any:
    """The state after the host has seen it."""
    if type(experiment).between is Experiment.between:
        return state
    state = _on_host(state)
    seen = jax.tree.map(np.asarray, outcome)
    given = jax.tree.map(np.array, state)
    new, again = (
        experiment.between(jax.tree.map(np.array, given), seen, segment)
        for _ in range(2)
    )
    found = differing(new, again)
    if found is not None:
        raise ContractError(
            "kill", f"between: {found}", "differs between two calls", "the state alone"
        )
    before, after = _types(given), _types(new)
    for name in before.keys() | after.keys():
        # A strong type on the host is one in the program.
        if before.get(name, (0,))[:2] != after.get(name, (0,))[:2]:
            raise ContractError(
                "kill",
                f"between: {name}",
                f"was {before.get(name)} and is {after.get(name)}",
                "arrays of the same shape and type",
            )
    return jax.tree.map(jnp.asarray, new)
