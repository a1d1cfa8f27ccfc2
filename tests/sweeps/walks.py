"""An experiment with segments whose end is known: a walk by equal steps."""

import dataclasses
import time
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbias import _draws
from jaxbias._axes import NEURON, TIME
from jaxbias.experiments.experiment import Column, Experiment, Outcome, Work


@dataclasses.dataclass(frozen=True)
class Walk(Experiment):
    """Walkers that move by their own random step; state: place and steps taken."""

    walkers: int = 3
    pace: float = 1.0
    steps: tuple[int, ...] = (2, 5, 6)
    seconds: float = 1e-6
    dtype: str = "float64"

    @property
    def batched(self) -> Mapping[str, float | int]:
        return {"walkers": 1, "pace": 1.0}

    @property
    def size(self):
        return "walkers"

    @property
    def segments(self):
        return self.steps

    def draw(self, key, point, shared, padded):
        rows = [
            _draws.normal(_draws.fold_in(key, i), (), self.dtype) for i in range(padded)
        ]
        mask = jnp.arange(padded) < point["walkers"]
        return jnp.where(mask, point["pace"] * jnp.stack(rows), 0.0)

    def start(self, problem, shared):
        return jnp.zeros_like(problem), jnp.zeros((), jnp.int32)

    def advance(self, problem, state, ends, shared):
        place, taken = lax.fori_loop(
            *ends, lambda _, s: (s[0] + problem, s[1] + 1), state
        )
        seen = {"place": place, "furthest": jnp.max(jnp.abs(place))}
        statistics = {"taken": taken}
        return (place, taken), Outcome(seen, jnp.zeros((), jnp.int32), statistics)

    def columns(self):
        return {
            "place": Column((TIME, NEURON), "where walkers are"),
            "furthest": Column((TIME,), "largest distance"),
            "taken": Column((), "steps"),
        }

    def coordinates(self):
        return {TIME: np.asarray(self.steps)}

    def work(self, padded):
        size = self.walkers if padded is None else padded
        return Work(self.seconds, {NEURON: size}, 8 * size, 8 * size, size)


@dataclasses.dataclass(frozen=True)
class Turning(Walk):
    """A walk that turns back between segments, on the host; slowly if wanted."""

    pause: float = 0.0

    def between(self, state, outcome, segment):
        time.sleep(self.pause)
        assert isinstance(state[0], np.ndarray)
        return -state[0], state[1]
