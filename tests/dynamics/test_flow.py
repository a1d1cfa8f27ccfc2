"""The problem as a specification: clocks, precision, batching, and what it refuses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import CLUSTERS, problem, relative

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics import FixedStep, GradientFlow, solve
from jaxbias.dynamics.flow import cast
from jaxbias.networks import PReLU, TwoLayer, balanced, unbalanced

NETWORK = TwoLayer(12, PReLU(3), balanced(1e-3))
FLOW = GradientFlow(NETWORK, CLUSTERS, 40)
KEY = jax.random.key(11)


@pytest.mark.parametrize(
    ("clock", "weight"), [("sum", 1.0), ("mean", 1 / 40), ("per_cluster_mean", 4 / 40)]
)
def test_clock_sets_the_weight_of_a_row(clock, weight):
    given = dataclasses.replace(FLOW, clock=clock).problem(KEY)
    assert np.allclose(given.sample_weights, weight, rtol=1e-15)


@pytest.mark.parametrize(
    ("clock", "faster"), [("sum", 40.0), ("per_cluster_mean", 4.0)]
)
def test_clocks_are_the_same_trajectory_at_other_times(clock, faster):
    mean = FLOW.problem(KEY)
    other = dataclasses.replace(FLOW, clock=clock).problem(KEY)
    slow = solve(mean, [20.0], {}, FixedStep("rk4", 0.2))
    fast = solve(other, [20.0 / faster], {}, FixedStep("rk4", 0.2 / faster))
    assert relative(slow.final.hidden, fast.final.hidden) < 1e-12


@pytest.mark.parametrize(
    ("loss", "slower"), [(losses.logistic, 2.0), (losses.squared, 1.0)]
)
def test_early_clock_scales_with_the_slope_at_zero(loss, slower):
    # While |f| << 1 all losses drive the same flow, at the rate s0.
    given = FLOW.problem(KEY)
    other = dataclasses.replace(FLOW, loss=loss).problem(KEY)
    early = solve(given, [4.0], {}, FixedStep("rk4", 0.1))
    same = solve(other, [4.0 * slower], {}, FixedStep("rk4", 0.1 * slower))
    assert relative(early.final.hidden, same.final.hidden) < 1e-5


def test_a_key_gives_one_problem_in_both_precisions():
    single, double = (FLOW.problem(KEY, dtype=d) for d in ("float32", "float64"))
    assert single.initial.hidden.dtype == jnp.float32
    for name in ("hidden", "output"):
        a, b = getattr(single.initial, name), getattr(double.initial, name)
        assert relative(a.astype("float64"), b) < 3e-7
    # Centres are unit vectors, so casting loses at most a rounding of each entry.
    gap = single.dataset.inputs.astype("float64") - double.dataset.inputs
    assert float(jnp.abs(gap).max()) < 1e-7


def test_data_and_network_take_separate_streams():
    wider = dataclasses.replace(FLOW, network=dataclasses.replace(NETWORK, width=30))
    more = dataclasses.replace(FLOW, samples=80)
    base = FLOW.problem(KEY)
    assert np.array_equal(wider.problem(KEY).dataset.inputs, base.dataset.inputs)
    assert np.array_equal(more.problem(KEY).initial.hidden, base.initial.hidden)
    assert np.array_equal(wider.problem(KEY).initial.hidden[:12], base.initial.hidden)


def test_traced_values_give_the_same_problem():
    @jax.jit
    def traced(noise, scale, width):
        return FLOW.problem(KEY, noise=noise, scale=scale, width=width, padded=20)

    batched = traced(jnp.asarray(0.3), jnp.asarray(1e-5), jnp.asarray(9))
    data = dataclasses.replace(CLUSTERS, noise=0.3)
    network = dataclasses.replace(NETWORK, width=9, init=balanced(1e-5))
    alone = GradientFlow(network, data, 40).problem(KEY)
    assert relative(batched.dataset.inputs, alone.dataset.inputs) < 1e-15
    assert relative(batched.initial.hidden[:9], alone.initial.hidden) < 1e-15
    assert not np.any(batched.initial.hidden[9:])
    assert int(batched.initial.mask.sum()) == 9


@pytest.mark.parametrize(
    ("network", "holds"),
    [
        (NETWORK, True),
        (dataclasses.replace(NETWORK, init=unbalanced(1e-3, 1e-4)), False),
        (dataclasses.replace(NETWORK, output="frozen"), False),
    ],
)
def test_balance_is_claimed_only_where_it_is_conserved_from_the_start(network, holds):
    given = GradientFlow(network, CLUSTERS, 40).problem(KEY)
    assert given.balanced is holds
    if holds:
        norms = jnp.linalg.norm(given.initial.hidden, axis=1)
        assert relative(jnp.abs(given.initial.output), norms) < 1e-15


def test_a_data_set_of_ones_own_is_used_whole():
    drawn = problem("prelu3").dataset
    given = GradientFlow(NETWORK, drawn).problem(KEY, dtype="float32")
    assert given.dataset.inputs.dtype == jnp.float32
    assert np.array_equal(given.dataset.clusters, drawn.clusters)


def test_cast_leaves_whole_numbers_alone():
    done = cast({"a": jnp.arange(3), "b": jnp.ones(2), "c": None}, "float32")
    assert done["a"].dtype == jnp.arange(3).dtype
    assert done["b"].dtype == jnp.float32
    assert done["c"] is None


def bare(**parts):
    drawn = problem("prelu3").dataset
    return Dataset(**{**vars(drawn), **parts})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GradientFlow(NETWORK, CLUSTERS, 40, clock="meen"), "clock='mean'"),
        (lambda: GradientFlow(NETWORK, CLUSTERS), "samples=80"),
        (lambda: GradientFlow(NETWORK, CLUSTERS, 0), "at least 1"),
        (lambda: GradientFlow(NETWORK, CLUSTERS, -4), "at least 1"),
        (lambda: GradientFlow(NETWORK, bare(), 7), "used whole"),
        (
            lambda: GradientFlow(NETWORK, bare(centres=None), clock="per_cluster_mean"),
            "number of clusters",
        ),
        (
            lambda: GradientFlow(NETWORK, CLUSTERS, 40, losses.cross_entropy),
            "several classes",
        ),
        (
            lambda: GradientFlow(dataclasses.replace(NETWORK, classes=3), bare()),
            "cross_entropy",
        ),
        (
            lambda: GradientFlow(
                dataclasses.replace(NETWORK, normalise_inputs=True), CLUSTERS, 40
            ),
            "rows of norm 1",
        ),
        (lambda: FLOW.problem(KEY, dtype="float16"), "float32"),
        (lambda: FLOW.problem(KEY, scale=1e-25, dtype="float32"), "underflow"),
        (lambda: FLOW.problem(KEY, scale=-1.0), "scale"),
        (lambda: FLOW.problem(KEY, noise=-0.1), "noise"),
        (lambda: FLOW.problem(KEY, width=30, padded=20), "padded=30"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
