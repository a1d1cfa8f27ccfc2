"""A method made ready: compiled where it compiles, then run as often as one likes."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Trained(NamedTuple):
    """What a run came to.

    Attributes:
        hidden: (seed, neuron, feature).
        output: (seed, neuron).
        finished: whether every seed reached the final time.
        evaluations: full-batch gradients each seed cost, on average.
    """

    hidden: Any
    output: Any
    finished: bool
    evaluations: float


class Prepared(NamedTuple):
    """A method on one workload in one setting.

    Attributes:
        run: trains all seeds.
        compile_seconds: of tracing and compiling; 0 where nothing is compiled.
    """

    run: Callable[[], Trained]
    compile_seconds: float = 0.0


def compiled(solve: Callable[[Any], Any], batch: Any) -> Prepared:
    """A function of one problem, mapped over seeds in one program.

    Args:
        solve: problem -> (weights, whether it finished, evaluations).
        batch: problems along a leading axis.
    """
    start = time.process_time()
    many = jax.jit(lambda problems: jax.lax.map(solve, problems))
    program = many.lower(batch).compile()
    seconds = time.process_time() - start

    def run() -> Trained:
        weights, finished, evaluations = jax.block_until_ready(program(batch))
        return Trained(
            np.asarray(weights.hidden),
            np.asarray(weights.output),
            bool(np.all(finished)),
            float(np.mean(evaluations)),
        )

    return Prepared(run, seconds)
