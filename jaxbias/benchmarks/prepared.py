"""A method made ready: compiled where it compiles, then run as often as one likes."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Answer(NamedTuple):
    """What a run came to.

    Attributes:
        solution: what the workload judges: :class:`Trained`, or radii (point,).
        finished: whether it went to its end.
        evaluations: full-batch gradients each seed cost, on average; NaN where they
            are not counted.
        losses: training loss (seed, time) at the saved times, where they were asked
            for.
        seeds: of how many seeds the solution is, the first; None for all.
    """

    solution: Any
    finished: bool = True
    evaluations: float = math.nan
    losses: Any = None
    seeds: int | None = None


class Trained(NamedTuple):
    """Trained networks.

    Attributes:
        hidden: (seed, neuron, feature).
        output: (seed, neuron).
    """

    hidden: Any
    output: Any


class Prepared(NamedTuple):
    """A method on one workload in one setting.

    Attributes:
        run: solves all seeds.
        compile_seconds: of tracing and compiling; 0 where nothing is compiled.
        share: of the whole work, what a run does; its time is divided by that.
        scaled: from what the time is scaled, in words.
    """

    run: Callable[[], Answer]
    compile_seconds: float = 0.0
    share: float = 1.0
    scaled: str = ""


def compiled(solve: Callable[[Any], Any], batch: Any) -> Prepared:
    """A function of one problem, mapped over seeds in one program.

    Args:
        solve: problem -> (weights, whether it finished, evaluations, losses or None).
        batch: problems along a leading axis.
    """
    start = time.process_time()
    many = jax.jit(lambda problems: jax.lax.map(solve, problems))
    program = many.lower(batch).compile()
    seconds = time.process_time() - start

    def run() -> Answer:
        found = jax.block_until_ready(program(batch))
        weights, finished, evaluations, losses = found
        return Answer(
            Trained(np.asarray(weights.hidden), np.asarray(weights.output)),
            bool(np.all(finished)),
            float(np.mean(evaluations)),
            None if losses is None else np.asarray(losses, np.float64),
        )

    return Prepared(run, seconds)


def warmed(run: Callable[[], Answer]) -> Prepared:
    """A method that compiles as it runs: its first call is longer by that."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return Prepared(run, max(0.0, seconds[0] - seconds[1]))
