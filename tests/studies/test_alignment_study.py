"""Early alignment from two starts: what is drawn against what theory says."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.activations import PReLU
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.studies._alignment import (
    STARTS,
    alignment,
    first_crossing,
    own_cosines,
    predicted_iterations,
)
from jaxbias.sweeps.keys import run_key

CLUSTERS = OrthonormalClusters(100, 4, 2, 0.02)
SIZES = {"samples": 40, "width": 60, "rate": 0.1, "seeds": (0, 1), "root": "test"}
SCALE, NUDGE = 1e-7, 0.05
PER_TIME = 4 / (2 * 0.1)
"""Iterations in a unit of time: K/(s_0 rate)."""


@pytest.fixture(scope="module")
def found():
    said = []
    table = alignment(
        CLUSTERS,
        scale=SCALE,
        nudge=NUDGE,
        iterations=480,
        every=2,
        searched=40,
        tick=said.append,
        **SIZES,
    )
    return table, said


def drawn(nudge, seed, dtype="float32"):
    network = TwoLayer(60, PReLU(3.0), balanced(SCALE, nudge))
    flow = GradientFlow(network, CLUSTERS, 40, losses.squared)
    return flow.problem(run_key("test", seed), dtype=dtype)


def test_the_table_has_its_labels(found):
    table, said = found
    assert list(table.start.values) == list(STARTS)
    assert table.cosine.dims == ("start", "seed", "quantile", "iteration")
    assert table.loss.dims == ("start", "seed", "iteration")
    assert table.distance.dims == ("start", "seed", "search")
    assert said == [
        f"alignment from a {start} start, seed {seed}"
        for start in STARTS
        for seed in (0, 1)
    ]
    assert table.attrs["unfinished"] == 0
    for name in table.data_vars:
        assert np.isfinite(table[name]).all(), name


def test_the_median_neuron_crosses_when_predicted(found):
    table, _ = found
    # Euler steps on c' = 3 c^2 lag: by ln(c1/c0) steps in all, to first order. The rest
    # is competition between centres, noise, and that the two middle neurons of an even
    # number cross apart: a few hundredths of the time.
    lag = table.observed - table.predicted
    start = table.cosine.sel(quantile=0.5, iteration=0)
    euler = np.log(0.5 / start)
    assert (np.abs(lag - euler) < 0.05 * table.predicted).all()
    assert (table.predicted > 50).all()


def flow_of_cosines(cosines, own):
    """Iterations to cosine 1/2 by the idealised flow of all cosines of one neuron."""
    signs = np.where(own, 1.0, -1.0)

    def speed(_, c):
        active = np.maximum(c, 0.0)
        return 3 * (signs * active**2 - c * (signs @ active**3))

    def aligned(_, c):
        return c[own].max() - 0.5

    aligned.terminal = True
    run = solve_ivp(speed, (0, 500), cosines, events=aligned, rtol=1e-9, atol=1e-12)
    ends = run.t_events[0]
    return PER_TIME * ends[0] if len(ends) else np.inf


def test_the_whole_early_flow_says_the_same(found):
    table, _ = found
    problem = drawn(0.0, 0)
    hidden = np.asarray(problem.initial.hidden, float)
    unit = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    cosines = unit @ np.asarray(problem.dataset.centres, float).T
    output = np.asarray(problem.initial.output)
    own = output[:, None] * CLUSTERS.labels[None, :] > 0
    moments = [flow_of_cosines(*pair) for pair in zip(cosines, own, strict=True)]
    observed = float(table.observed.sel(start="random", seed=0))
    assert observed == pytest.approx(np.median(moments) + 2, rel=0.02)


def test_a_nudged_start_aligns_first(found):
    table, _ = found
    for name in ("observed", "predicted"):
        random, nudged = (table[name].sel(start=start) for start in STARTS)
        assert (nudged < 0.8 * random).all()
    half = [
        [first_crossing(table.iteration.values, -run, -0.5) for run in runs]
        for runs in table.loss.values
    ]
    assert (np.array(half[1]) < np.array(half[0])).all()


def test_starts_share_their_shapes_and_differ_by_the_nudge():
    random, nudged = drawn(0.0, 0), drawn(NUDGE, 0)
    np.testing.assert_array_equal(random.dataset.inputs, nudged.dataset.inputs)
    # The nudge is made at unit norm: entries of size scale are scale sqrt(D) times it.
    size = SCALE * 10
    before = np.asarray(random.initial.hidden, float) / size
    after = np.asarray(nudged.initial.hidden, float) / size
    moved = (after - (1 - NUDGE) * before) / NUDGE
    chosen = np.argmax(moved, axis=1)
    np.testing.assert_allclose(moved, np.eye(100)[chosen], atol=1e-5)
    own = np.asarray(nudged.initial.output) * CLUSTERS.labels[chosen]
    assert (own > 0).all()
    # By 0.05 where the chosen centre is the nearest one, which it often is.
    gain = own_cosines(nudged) - own_cosines(random)
    assert gain.max() == pytest.approx(NUDGE, rel=0.3)
    assert np.median(gain) > 0.5 * NUDGE


def test_loss_and_distance_begin_at_one_and_end_small(found):
    table, _ = found
    np.testing.assert_allclose(table.loss.isel(iteration=0), 1.0, atol=1e-6)
    # |f| is tiny, and |F^(3)| = 1 at a centre: the supremum, which the search finds.
    np.testing.assert_allclose(table.distance.isel(search=0), 1.0, atol=1e-4)
    assert (table.loss.diff("iteration") < 1e-5).all()
    assert (table.loss.isel(iteration=-1) < 1e-3).all()
    assert (table.distance.isel(search=-1) < 0.06).all()
    assert (table.cosine.diff("quantile") >= 0).all()
    assert (table.cosine.sel(quantile=0.5).isel(iteration=-1) > 0.99).all()


def by_hand(problem, rate, steps):
    """Descent on the mean of (y - f)^2 from the printed gradients, in NumPy."""
    start, data = problem.initial, problem.dataset
    hidden, output = np.asarray(start.hidden), np.asarray(start.output)
    inputs, labels = np.asarray(data.inputs), np.asarray(data.labels)
    path = []
    for _ in range(steps + 1):
        norms = np.linalg.norm(hidden, axis=1)
        unit = hidden / norms[:, None]
        c = np.maximum(inputs @ unit.T, 0.0)
        outputs = (c**3 * norms) @ output
        path.append(np.mean((labels - outputs) ** 2))
        slope = -2 * (labels - outputs) / len(labels)
        of_output = slope @ (c**3 * norms)
        pull = 3 * (slope[:, None] * c**2).T @ inputs
        pull -= 2 * (slope @ c**3)[:, None] * unit
        hidden = hidden - rate * output[:, None] * pull
        output = output - rate * of_output
    return np.array(path)


def test_steps_are_those_of_the_plain_mean_square_loss():
    large = {**SIZES, "seeds": (3,), "width": 12}
    table = alignment(
        CLUSTERS,
        scale=0.1,
        nudge=0.0,
        iterations=40,
        every=10,
        searched=20,
        dtype="float64",
        tick=lambda _: None,
        **large,
    )
    network = TwoLayer(12, PReLU(3.0), balanced(0.1))
    flow = GradientFlow(network, CLUSTERS, 40, losses.squared)
    problem = flow.problem(run_key("test", 3), dtype="float64")
    path = by_hand(problem, 0.1, 40)
    assert path[-1] < 0.7 * path[0], "a step of another size would be seen"
    for start in STARTS:
        loss = table.loss.sel(start=start, seed=3)
        np.testing.assert_allclose(loss, path[::10], rtol=1e-9)


def test_predictions_follow_the_law_of_one_centre():
    cosines = np.array([0.02, 0.1, 0.3])
    for exponent in (1.0, 2.0, 3.0, 4.0):
        steps = predicted_iterations(cosines, exponent, 10, 0.2)
        for start, ours in zip(cosines, steps, strict=True):
            ours /= 25.0

            def speed(_, c, p=exponent):
                return p * c ** (p - 1) * (1 - c**2)

            run = solve_ivp(speed, (0.0, float(ours)), [start], rtol=1e-10, atol=1e-12)
            assert run.y[0, -1] == pytest.approx(0.5, rel=1e-5)


def test_the_printed_prediction_of_figure_5():
    # c_0 = 1.13/sqrt(1000), K = 10, steps of 0.2: the published curve crosses near 225.
    (steps,) = predicted_iterations(np.array([1.13 / np.sqrt(1000)]), 3.0, 10, 0.2)
    assert steps == pytest.approx(221, abs=1)


def test_neurons_without_an_active_centre_never_cross():
    steps = predicted_iterations(np.array([-0.2, 0.0, 0.5, 0.9]), 3.0, 10, 0.2)
    np.testing.assert_array_equal(steps, [np.inf, np.inf, 0.0, 0.0])


def test_crossings_are_interpolated():
    x, y = np.array([0, 10, 20, 30]), np.array([0.1, 0.3, 0.7, 0.6])
    assert first_crossing(x, y, 0.5) == pytest.approx(15.0)
    assert first_crossing(x, y, 0.05) == 0.0
    assert np.isnan(first_crossing(x, y, 0.8))


@pytest.mark.parametrize(("every", "searched"), [(7, 40), (2, 36), (3, 40)])
def test_blocks_that_do_not_fit_are_refused(every, searched):
    counts = {"iterations": 480, "every": every, "searched": searched}
    with pytest.raises(InputError, match=f"every={every}"):
        alignment(CLUSTERS, scale=1.0, nudge=0.0, tick=print, **counts, **SIZES)
