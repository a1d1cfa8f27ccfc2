"""The test of the contract: it passes what keeps it, and names what breaks it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbias as jb
from jaxbias._checks import InputError
from jaxbias.data import Dataset, OrthonormalClusters
from jaxbias.dynamics import AdversarialDescent, Descent, GradientFlow, Status
from jaxbias.experiments import (
    Column,
    ContractError,
    Descend,
    Experiment,
    Module,
    Optimiser,
    Outcome,
    Training,
    check,
)
from jaxbias.networks import PReLU, ReLU, TwoLayer, balanced, unbalanced

CLUSTERS = OrthonormalClusters(dim=8, clusters=2, positive=1, noise=0.1)
TABLE = np.arange(3000.0)
KEPT = []


@dataclasses.dataclass(frozen=True)
class Decay(Experiment):
    """Masked numbers that shrink by a rate; each broken one changes one member."""

    width: int = 3
    rate: float = 0.25
    ends: tuple[int, ...] = (1, 3, 4)
    dtype: str = "float64"

    @property
    def batched(self):
        return {"width": 1, "rate": 0.5}

    @property
    def size(self):
        return "width"

    @property
    def segments(self):
        return self.ends

    def draw(self, key, point, shared, padded):
        place = jnp.arange(padded)
        one = lambda i: jax.random.normal(jax.random.fold_in(key, i), (), self.dtype)
        numbers = jnp.where(place < point["width"], jax.vmap(one)(place), 0.0)
        return numbers, jnp.asarray(point["rate"]).astype(self.dtype)

    def start(self, problem, shared):
        return {"numbers": problem[0], "step": jnp.zeros((), jnp.int32)}

    def shrink(self, problem, state, ends):
        return jax.lax.fori_loop(
            *ends, lambda _, x: x * (1 - problem[1]), state["numbers"]
        )

    def advance(self, problem, state, ends, shared):
        numbers = self.shrink(problem, state, ends)
        step = state["step"] + ends[1] - ends[0]
        total = jnp.sum(numbers)
        outcome = Outcome(
            {"total": total, "numbers": numbers},
            jnp.asarray(Status.FINISHED),
            {"steps": step},
        )
        return {"numbers": numbers, "step": step}, outcome

    def columns(self):
        return {
            "total": Column(("time",)),
            "numbers": Column(("time", "neuron")),
            "steps": Column(),
        }


@dataclasses.dataclass(frozen=True)
class Whole(Decay):
    """The same in one piece."""

    def run(self, problem, shared):
        state, seen = self.start(problem, shared), []
        for ends in zip((0, *self.ends), self.ends, strict=False):
            state, outcome = self.advance(problem, state, ends, shared)
            seen.append(outcome.observables)
        stacked = jax.tree.map(lambda *a: jnp.stack(a), *seen)
        return outcome._replace(observables=stacked), state


class Random(Decay):
    def draw(self, key, point, shared, padded):
        numbers, rate = Decay.draw(self, key, point, shared, padded)
        return numbers * np.random.default_rng().random(), rate


class Counting(Decay):
    def advance(self, problem, state, ends, shared):
        KEPT.append(1)
        return Decay.advance(self, (problem[0], problem[1] / len(KEPT)), state, ends, 0)


class Leaking(Decay):
    def start(self, problem, shared):
        KEPT.append(problem[0] + 1.0)
        return Decay.start(self, problem, shared)


class Averaging(Decay):
    def advance(self, problem, state, ends, shared):
        state, outcome = Decay.advance(self, problem, state, ends, shared)
        mean = jnp.mean(state["numbers"])
        return state, outcome._replace(
            observables={**outcome.observables, "total": mean}
        )


class OneDraw(Decay):
    def draw(self, key, point, shared, padded):
        numbers = jax.random.normal(jax.random.fold_in(key, padded), (padded,))
        place = jnp.arange(padded)
        masked = jnp.where(place < point["width"], numbers.astype(self.dtype), 0.0)
        return masked, jnp.asarray(point["rate"]).astype(self.dtype)


class Holding(Decay):
    def draw(self, key, point, shared, padded):
        numbers, rate = Decay.draw(self, key, point, shared, padded)
        return numbers + jnp.sum(jnp.asarray(TABLE, self.dtype)) * 0, rate


class Promoting(Decay):
    def start(self, problem, shared):
        return {**Decay.start(self, problem, shared), "step": jnp.zeros((), jnp.int16)}

    def advance(self, problem, state, ends, shared):
        state = {**state, "step": state["step"].astype(jnp.int32)}
        return Decay.advance(self, problem, state, ends, shared)


class Growing(Decay):
    def advance(self, problem, state, ends, shared):
        new, outcome = Decay.advance(self, problem, state, ends, shared)
        return {**new, "extra": new["step"]}, outcome


class Numpy(Decay):
    def shrink(self, problem, state, ends):
        return jnp.asarray(np.exp(np.asarray(state["numbers"])))


class Branching(Decay):
    def shrink(self, problem, state, ends):
        return state["numbers"] * 0.5 if ends[0] > 0 else state["numbers"]


class Restless(Decay):
    def shrink(self, problem, state, ends):
        return state["numbers"] * 0.5


class Keyed(Decay):
    def start(self, problem, shared):
        return {**Decay.start(self, problem, shared), "key": jax.random.key(0)}

    def advance(self, problem, state, ends, shared):
        new, outcome = Decay.advance(self, problem, state, ends, shared)
        return {**new, "key": state["key"]}, outcome


class Meddling(Decay):
    def between(self, state, outcome, segment):
        noise = np.random.default_rng().random()
        return {**state, "numbers": state["numbers"] * noise}


class Widening(Decay):
    def between(self, state, outcome, segment):
        return {**state, "step": state["step"].astype(np.int64)}


class Unnamed(Decay):
    def columns(self):
        return {"total": Column(("time",)), "steps": Column()}


class Misnamed(Decay):
    def columns(self):
        return {**Decay.columns(self), "total": Column()}


@jax.custom_batching.custom_vmap
def _sociable(x):
    return x


@_sociable.def_vmap
def _(size, batched, x):
    return x * 1.001, True


class Sociable(Decay):
    def shrink(self, problem, state, ends):
        return Decay.shrink(self, (0, _sociable(problem[1])), state, ends)


class Eager(Decay):
    def shrink(self, problem, state, ends):
        traced = isinstance(state["numbers"], jax.core.Tracer)
        return Decay.shrink(self, (0, problem[1] * (2 if traced else 1)), state, ends)


@dataclasses.dataclass(frozen=True)
class Reading(Decay):
    data: Dataset | None = None

    def shared(self):
        return self.data

    def start(self, problem, shared):
        numbers = problem[0] * jnp.mean(self.data.inputs)
        return {"numbers": numbers, "step": jnp.zeros((), jnp.int32)}


class WholeNumpy(Whole):
    def run(self, problem, shared):
        return Whole.run(self, (np.asarray(problem[0]), problem[1]), shared)


@pytest.mark.parametrize("kind", [Decay, Whole])
def test_what_keeps_the_contract_passes(kind, dtype):
    passed = check(kind(dtype=dtype), seeds=2)
    assert {"form", "json", "purity", "columns", "company", "padding"} <= set(passed)
    assert ({"one trace", "idle", "kill"} <= set(passed)) is (kind is Decay)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Random, "purity: draw: .*two calls"),
        (Counting, "purity|kill|idle"),
        (Leaking, "purity: a traced array outlives"),
        (Averaging, "padding: observables.total"),
        (OneDraw, "padding: "),
        (Holding, r"shared: an array of shape \(3000,\)"),
        (Promoting, r"one trace: state: step was \('int16'"),
        (Growing, "one trace: state: extra was None"),
        (Numpy, "purity: advance needs the value"),
        (Branching, "purity: advance needs the value"),
        (Restless, "idle: state: numbers"),
        (Keyed, "kill: state: key is a typed key"),
        (Meddling, "kill: between: numbers"),
        (Widening, "kill: between: step"),
        (Unnamed, "columns: numbers is in the outcomes alone"),
        (Misnamed, r"columns: total of shape \(3,\)"),
        (Sociable, "company: "),
        (Eager, "purity: .*with jit and without"),
        (WholeNumpy, "purity: run needs the value"),
    ],
)
def test_what_breaks_it_is_named(kind, told):
    KEPT.clear()
    with pytest.raises(ContractError, match=told) as error:
        check(kind(), seeds=1)
    assert "Try" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_data_set_read_off_the_experiment_is_named():
    data = CLUSTERS.sample(4, key=jax.random.key(0))
    with pytest.raises(ContractError, match="shared: a data set is read off"):
        check(Reading(data=data), seeds=1)


@dataclasses.dataclass
class Loose(Experiment):
    dtype: str = "float64"


@dataclasses.dataclass(frozen=True)
class Listed(Decay):
    ends: tuple[int, ...] = (3, 1)


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (Loose(), ContractError, "form: Loose can be changed"),
        (Listed(), ContractError, "form: segments"),
        (Decay(rate=None), ContractError, "form: rate"),
        (Decay(dtype="float16"), ContractError, "form: dtype"),
        (CLUSTERS, InputError, "derives from Experiment"),
    ],
    ids=["mutable", "segments", "number", "dtype", "other"],
)
def test_the_form_is_looked_at_first(given, kind, told):
    with pytest.raises(kind, match=told):
        check(given)


def flow(network=None, data=CLUSTERS, samples=6):
    network = network or TwoLayer(4, PReLU(3), balanced(0.1))
    return GradientFlow(network, data, samples, jb.losses.logistic)


OURS = {
    "adam": Descend(
        flow(), Descent(0.01, "adam", batch=4, average=0.9), (1, 2, 5), dtype="float64"
    ),
    "data set": Descend(
        flow(data=CLUSTERS.sample(6, key=jax.random.key(0)), samples=None),
        Descent(0.1, "momentum", batch=2),
        (2, 7),
        ("loss", "class_cosines"),
    ),
    "attacked": Descend(
        flow(TwoLayer(4, ReLU(), unbalanced(0.1), "grouped")),
        AdversarialDescent(0.05, 0.3, 0.1, 3),
        (2, 3),
    ),
    "training": Training(
        Module("factories:Small", width=3, normalised=True, dropout=0.2),
        Dataset(
            jnp.asarray(np.random.default_rng(0).normal(size=(12, 4)), jnp.float32),
            jnp.arange(12, dtype=jnp.int32) % 3,
            jnp.zeros(12, jnp.int32),
        ),
        Optimiser("adam", rate=1e-3),
        "cross_entropy",
        epochs=3,
        batch=5,
        test=Dataset(
            jnp.ones((3, 4), jnp.float32),
            jnp.arange(3, dtype=jnp.int32),
            jnp.zeros(3, jnp.int32),
        ),
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_the_experiments_of_the_package_keep_it(name):
    passed = check(OURS[name], seeds=1)
    assert "kill" in passed
    assert ("padding" in passed) is (name != "training")
