"""Evidence on separable data against autodiff, other integrators and counts by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias.theory.separable_times import early_alignment_time
from jaxbias.verification import _separable as separable
from jaxbias.verification import evidence_separable as runs
from jaxbias.verification import evidence_separable_limit as limit

CASES = ((0.5, 3, 1.0), (0.1, 2, 1.5))
SIZES = {"cases": CASES, "samples": 5, "dim": 7, "draws": 2, "width": 6}


def _networks(scale=0.3, seed=0, **changes):
    rng = np.random.default_rng(seed)
    return separable.random_networks(SIZES | changes, scale, rng)


@pytest.mark.parametrize("case", [*CASES, (0.9, 1, 1.0), (0.02, 4, 3.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_least_cosine_and_the_norms_are_as_asked(case, seed):
    rng = np.random.default_rng(seed)
    x, y = separable.separable_data(case, 5, 6, rng)
    assert y.tolist() == [1.0] * case[1] + [-1.0] * (5 - case[1])
    norms = np.linalg.norm(x, axis=1)
    spread = case[2]
    assert (norms.min(), norms.max()) == pytest.approx((1 / spread, spread))
    u = y[:, None] * x / norms[:, None]
    cosines = (u @ u.T)[~np.eye(5, dtype=bool)]
    assert cosines.min() == pytest.approx(case[0])
    assert cosines.max() <= 1
    assert (cosines.max() == pytest.approx(case[0])) == (spread == 1.0)


def test_random_networks_are_balanced_and_of_the_scale_asked():
    nets = _networks(scale=1e-3)
    assert nets.inputs.shape == (4, 5, 7)
    np.testing.assert_allclose(np.linalg.norm(nets.hidden, axis=2), 1e-3)
    assert nets.output[0].tolist() == [1e-3, -1e-3] * 3
    np.testing.assert_allclose(np.abs(nets.output), 1e-3)
    np.testing.assert_array_equal(nets.labels[0], nets.labels[1])
    assert nets.labels[2].sum() == -1.0
    assert nets.matching[0, 0].tolist() == [True] * 3 + [False] * 2
    np.testing.assert_array_equal(nets.matching[:, 1], ~nets.matching[:, 0])


def test_aligned_networks_are_active_on_their_own_class_alone():
    nets = separable.aligned_networks(SIZES, 0.2, np.random.default_rng(0))
    scores = np.einsum("rjd,rid->rji", nets.hidden, nets.inputs)
    np.testing.assert_array_equal(scores > 0, nets.matching)
    np.testing.assert_allclose(np.linalg.norm(nets.hidden, axis=2), 0.2)
    # They also have a part that no input sees.
    inside = np.linalg.pinv(nets.inputs) @ nets.inputs
    unseen = nets.hidden - nets.hidden @ inside
    assert np.linalg.norm(unseen, axis=2).min() > 1e-3


def _loss(weights, x, y, outputs=True):
    hidden, output = weights
    f = output @ jnp.maximum(hidden @ x.T, 0.0)
    return jnp.sum(jnp.exp(-y * f)) if outputs else jnp.sum(-y * f)


@pytest.mark.parametrize("outputs", [True, False])
def test_velocities_are_minus_the_gradient_of_the_summed_loss(outputs):
    nets = _networks(scale=0.8)
    dw, dv, values, active = separable.velocity(
        nets, nets.hidden, nets.output, outputs=outputs
    )
    for r in range(4):
        x, y, w, v = (jnp.asarray(part[r]) for part in nets)
        slope_w, slope_v = jax.grad(_loss)((w, v), x, y, outputs)
        np.testing.assert_allclose(dw[r], -slope_w, atol=1e-12)
        np.testing.assert_allclose(dv[r], -slope_v, atol=1e-12)
        f = v @ jnp.maximum(w @ x.T, 0.0)
        np.testing.assert_allclose(values[r], f, atol=1e-12)
        np.testing.assert_array_equal(active[r], w @ x.T > 0)


def test_marching_is_of_fourth_order_where_nothing_switches():
    nets = separable.aligned_networks(SIZES, 0.5, np.random.default_rng(1))
    ends = []
    for steps in (20, 40, 400):
        *_, last = separable.march(nets, np.linspace(0, 2, steps + 1))
        assert last.time == 2.0
        ends.append(last.hidden)
    coarse, fine = (np.abs(end - ends[2]).max() for end in ends[:2])
    assert coarse / fine == pytest.approx(16, rel=0.2)


def test_marching_starts_at_the_start_and_keeps_uneven_times():
    nets = _networks()
    times = np.array([0.0, 0.1, 0.15, 0.4])
    states = list(separable.march(nets, times))
    assert [s.time for s in states] == times.tolist()
    np.testing.assert_array_equal(states[0].hidden, nets.hidden)
    drift = np.linalg.norm(states[-1].hidden, axis=2) ** 2 - states[-1].output ** 2
    assert np.abs(drift).max() < 1e-2


def test_rates_on_the_boundary_are_those_of_a_small_step():
    nets = _networks(width=2)
    rng = np.random.default_rng(4)
    values = rng.standard_normal(nets.labels.shape)
    mu = np.array([0.5, 0.5, 0.1, 0.1])
    rate, floor = runs._on_boundary(nets, values, mu, np.random.default_rng(7))
    drawn = np.random.default_rng(7).standard_normal(nets.hidden.shape)
    checked = 0
    for r, j, i in np.ndindex(rate.shape):
        x, y = nets.inputs[r], nets.labels[r]
        aim = x[i] / np.linalg.norm(x[i])
        w = drawn[r, j] - (drawn[r, j] @ aim) * aim
        w = w / np.linalg.norm(w)
        others = [k for k in range(5) if k != i and x[k] @ w > 0]
        if not others:
            assert math.isinf(rate[r, j, i])
            continue
        pulls = {k: np.exp(-y[k] * values[r, k]) for k in others}
        push = sum(y[k] * pulls[k] * x[k] for k in others)
        moved = w + 1e-6 * push
        slope = moved @ aim / np.linalg.norm(moved) * y[i] / 1e-6
        assert rate[r, j, i] == pytest.approx(slope, rel=1e-4)
        least = mu[r] * sum(np.linalg.norm(x[k]) * pulls[k] for k in others)
        assert floor[r, j, i] == pytest.approx(least)
        checked += 1
    assert checked > 20


def test_boundary_evidence_is_by_case_and_sign():
    found = runs.boundary(SIZES | {"scale": 1e-5}, 0)
    assert found["rate"].shape == found["share"].shape == (2, 2)
    # One active sample is enough to reach mu |x| at unit norms.
    np.testing.assert_allclose(found["rate"][0], 0.5, rtol=1e-3)
    np.testing.assert_allclose(found["share"][0], 1.0, rtol=1e-9)
    assert np.all(found["share"][1] >= 1 - 1e-9)
    assert found["seeds"] == 4


def test_cones_enumerate_patterns():
    asked = {"cases": CASES, "samples": 5, "dim": 7, "draws": 3, "vectors": 30}
    found = runs.cones(asked, 0)
    count = np.arange(1, 6)
    np.testing.assert_allclose(found["shortest"][0], np.sqrt(count * (1 + count) / 2))
    np.testing.assert_allclose(found["shortest"][1, 0], 1 / 1.5)
    np.testing.assert_allclose(found["cosines"], [0.5, 0.1])


def _states(patterns):
    """One run of two neurons, the first positive; samples +, +, -."""
    nets = separable.Networks(
        np.eye(3)[None], np.array([[1.0, 1.0, -1.0]]), np.ones((1, 2, 3)),
        np.array([[1.0, -1.0]]),
    )  # fmt: skip
    states = []
    for k, rows in enumerate(patterns):
        active = np.array([[[c == "1" for c in row] for row in rows.split()]])
        states.append(
            separable.State(
                float(k), nets.hidden, nets.output, np.zeros((1, 3)), active
            )
        )
    return nets, states


@pytest.mark.parametrize(
    ("patterns", "counts", "aligned"),
    [
        # The positive neuron gains +, loses -; the negative one loses +.
        (["101 011", "111 001", "110 001"], (0, 3, 0, 0, 3, 2), 2.0),
        # The positive neuron loses + from its own cone: forbidden, never aligned.
        (["110 001", "100 001"], (1, 0, 1, 0, 1, 1), math.nan),
        # From the opposite cone to death, which a neuron without + may do.
        (["001 000", "000 000"], (0, 1, 0, 1, 1, 1), 1.0),
        # A dead neuron that wakes on the wrong side.
        (["110 000", "110 100"], (1, 0, 1, 0, 1, 1), math.nan),
        (["110 001", "110 001"], (0, 0, 0, 0, 0, 0), 0.0),
    ],
)
def test_switches_are_counted(patterns, counts, aligned):
    nets, states = _states(patterns)
    found = runs._Switches(nets, horizons=np.ones(1))
    for state in states:
        found.see(state, 1.0)
    summary = found.summary()
    names = ("forbidden", "allowed", "left_own", "left_other", "left_any", "most")
    assert tuple(summary[name][0] for name in names) == counts
    np.testing.assert_equal(summary["aligned"][0], aligned)


def test_early_counts_stop_at_the_horizon():
    nets, states = _states(["101 011", "111 001", "110 001"])
    found = runs._Switches(nets, horizons=np.ones(1))
    for state in states:
        found.see(state, 1.0)
    assert found.summary()["allowed_early"][0] == 2.0
    assert found.summary()["forbidden_early"][0] == 0.0


def test_the_early_phase_is_shorter_for_longer_inputs():
    nets = _networks(width=4)
    found = runs._horizons(nets, {"width": 4, "scale": 0.5 / math.e**2, "samples": 5})
    # log(1/(2 scale)) = 2; spreads 1 and 1.5.
    np.testing.assert_allclose(found, [0.1, 0.1, 0.1 / 1.5, 0.1 / 1.5])


def test_a_promised_neuron_that_dies_is_not_aligned():
    nets, states = _states(["100 001", "000 001"])
    found = runs._Switches(nets, horizons=np.ones(1))
    for state in states:
        found.see(state, 1.0)
    assert math.isnan(found.summary()["aligned"][0])


def test_both_classes_have_to_be_fitted():
    nets, _ = _states(["000 000"])
    for values, fits in (
        ([0.3, 0.0, -0.3], True),
        ([0.3, 0.3, -0.2], False),
        ([0.2, -0.1, -2.0], False),
        ([-0.3, 0.0, 0.3], True),
    ):
        assert runs._fits(nets, np.array([values]))[0] == fits


def test_losses_are_anchored_at_the_first_time_saved_after_the_fit():
    times = np.array([0.0, 1.0, 2.0, 4.0])
    losses = np.array([[8.0, 4.0, 2.0, 1.0]] * 3)
    found = runs._since(times, losses, np.array([0.5, 4.0, np.inf]))
    assert found["elapsed"][0].tolist() == [0.0, 0.0, 1.0, 3.0]
    assert found["loss"][0].tolist() == [4.0, 4.0, 2.0, 1.0]
    assert found["start"].tolist()[:2] == [4.0, 1.0]
    assert found["elapsed"][1].tolist() == [0.0] * 4
    assert np.isnan(found["start"][2])
    assert np.isnan(found["loss"][2]).all()


def test_grids_are_finer_before_the_time_of_the_last_switch():
    grid = runs._grid({"step": 0.1, "early": 1.0, "time": 5.0}, 2)
    np.testing.assert_allclose(np.diff(grid)[:20], 0.05)
    np.testing.assert_allclose(np.diff(grid)[20:], 0.2)
    assert grid[-1] == 5.0


@pytest.fixture(scope="module")
def followed():
    asked = SIZES | {
        "scale": 1e-3,
        "step": 0.05,
        "early": 5.0,
        "time": 15.0,
        "saves": 12,
    }
    return runs.runs(asked, 3)


def test_runs_align_then_fit_then_lose_rank(followed):
    assert followed["failed"] == 0
    assert followed["rank"].shape == (2, 2)
    assert np.all(followed["aligned"] < followed["fitted"])
    assert np.all(followed["forbidden"] == 0)
    assert np.all(followed["allowed"] > 0)
    assert np.all(followed["rank"] < 2)
    np.testing.assert_allclose(
        followed["positive"] + followed["negative"], followed["whole"][..., -1]
    )
    np.testing.assert_allclose(
        followed["rank"], followed["whole"][..., -1] / followed["top"][..., -1]
    )
    assert np.all(followed["rank_error"] < 1e-3)


def test_runs_end_where_another_integrator_ends(followed):
    nets = _networks(scale=1e-3, seed=3)
    shape, size = nets.hidden[0].shape, nets.hidden[0].size
    x, y = nets.inputs[0], nets.labels[0]

    def field(_, z):
        w, v = z[:size].reshape(shape), z[size:]
        scores = np.maximum(w @ x.T, 0)
        pull = y * np.exp(-y * (v @ scores))
        push = v[:, None] * ((scores > 0) * pull @ x)
        return np.concatenate([push.ravel(), scores @ pull])

    start = np.concatenate([nets.hidden[0].ravel(), nets.output[0]])
    run = solve_ivp(field, (0, 15), start, rtol=1e-8, atol=1e-11)
    w, v = run.y[:size, -1].reshape(shape), run.y[size:, -1]
    loss = np.exp(-y * (v @ np.maximum(w @ x.T, 0))).sum()
    assert followed["loss"][0, 0, -1] == pytest.approx(loss, rel=1e-3)
    singular = np.linalg.svd(w, compute_uv=False)
    assert followed["top"][0, 0, -1] == pytest.approx(singular[0] ** 2, rel=1e-3)
    assert followed["whole"][0, 0, -1] == pytest.approx(np.sum(w**2), rel=1e-3)


def test_aligned_networks_keep_one_matrix_and_not_the_others():
    asked = SIZES | {"scale": 0.1, "time": 10.0, "saves": 11, "tolerance": 1e-10}
    found = runs.aligned(asked, 0)
    assert found["drift"].shape == (2, 2, 3)
    assert found["drift"][..., 0].max() < 1e-8
    assert found["drift"][..., 1:].min() > 1e-2
    np.testing.assert_allclose(found["whole"][..., 0], 6 * 0.01)
    assert np.all(np.diff(found["whole"], axis=2) > 0)
    assert np.all(found["loss"][..., -1] < found["start"])
    assert found["failed"] == 0


@pytest.mark.parametrize(("sign", "time"), [(1.0, math.atanh(0.8)), (-1.0, None)])
def test_a_neuron_leaves_its_only_sample_at_a_time_known_by_hand(sign, time):
    # The negative sample is all it sees: c' = -(1 - c^2), from 0.8 to 0.
    x, y = np.array([[-0.6, -0.8], [1.0, 0.0]]), np.array([1.0, -1.0])
    start = np.array([0.8, 0.6])
    found = limit._aligned_after(x, y, start, sign, 1e-9)
    # The same neuron with a negative sign is where it belongs.
    assert found == pytest.approx(0.0 if time is None else time, abs=1e-7)


def test_small_steps_agree_with_events_and_with_the_closed_form():
    rng = np.random.default_rng(5)
    x, y = separable.separable_data((0.3, 2, 1.2), 5, 6, rng)
    shapes = rng.standard_normal((1, 6, 6))
    signs = separable.senses(6)
    asked = {"time": 8.0, "step": 0.005}
    times, own = limit._ends(x, y, shapes, signs, asked)
    assert own.dtype == bool
    for j, (w, sign) in enumerate(zip(shapes[0], signs, strict=True)):
        by_events = limit._aligned_after(x, y, w, sign, 1e-9)
        assert by_events == pytest.approx(
            early_alignment_time(w, x, y, float(sign)), abs=1e-6
        )
        assert times[0, j] == pytest.approx(by_events, abs=0.01)


def test_late_neurons_have_no_time():
    x, y = separable.separable_data((0.1, 2, 1.0), 4, 4, np.random.default_rng(0))
    shapes = np.random.default_rng(1).standard_normal((1, 20, 4))
    asked = {"time": 0.2, "step": 0.05}
    times, own = limit._ends(x, y, shapes, separable.senses(20), asked)
    assert np.isnan(times).any()
    assert not own[np.isnan(times)].any()


def test_crossings_are_listed_by_case_and_neuron():
    rng = np.random.default_rng(2)
    x, y = separable.separable_data((0.4, 2, 1.0), 4, 5, rng)
    starts = rng.standard_normal((3, 5))
    asked = {"inputs": [x, 2 * x], "labels": [y, y], "starts": starts}
    found = limit.crossings(asked, 0)
    assert found["measured"].shape == (6,)
    assert found["settled"].all()
    # Inputs twice as long turn neurons twice as fast.
    np.testing.assert_allclose(
        found["measured"][:3], 2 * found["measured"][3:], atol=1e-6
    )


def test_sweeps_slow_as_the_correlation_falls():
    asked = {
        "correlations": (0.5, 0.05),
        "few": 4,
        "samples": (4, 8),
        "correlation": 0.5,
        "dim": 8,
        "width": 6,
        "seeds": 5,
        "time": 15.0,
        "step": 0.05,
    }
    found = limit.sweep(asked, 0)
    assert found["by_correlation"].shape == found["by_samples"].shape == (5, 2)
    assert found["failed"] == 0
    assert np.all(found["by_correlation"][:, 1] > found["by_correlation"][:, 0])
    # The same starts on the same data.
    np.testing.assert_array_equal(
        found["by_correlation"][:, 0], found["by_samples"][:, 0]
    )
    assert limit.sweep(asked | {"time": 0.1}, 0)["failed"] == 5


def test_one_positive_sample_is_found_by_half_of_the_neurons():
    asked = {
        # A larger correlation would also turn neurons that start on no positive one.
        "cases": ((1e-3, 1, 1.0),),
        "samples": 3,
        "dim": 4,
        "neurons": (1, 2),
        "networks": 2000,
        "time": 15.0,
        "step": 0.1,
    }
    found = limit.occupancy(asked, 0)
    assert found["trials"].tolist() == [2000, 2000]
    # Five standard deviations of a count.
    for m, sure in zip((1, 2), found["sure"], strict=True):
        share = 1 - 2.0**-m
        assert sure == pytest.approx(
            2000 * share, abs=5 * math.sqrt(2000 * share * (1 - share))
        )
    assert np.all(found["possible"] >= found["sure"])
    early = limit.occupancy(asked | {"time": 0.3}, 0)
    assert early["sure"][0] < found["sure"][0] <= early["possible"][0]


def test_errors_of_the_early_equation_fall_with_the_square_of_the_scale():
    asked = SIZES | {"cases": ((0.5, 3, 1.0),), "scales": (1e-3, 1e-4), "saves": 21}
    fixed = limit.errors(asked | {"time": 0.2}, 0)
    assert fixed["error"].shape == (2, 2)
    np.testing.assert_allclose(
        fixed["error"][:, 0] / fixed["error"][:, 1], 100, rtol=1e-2
    )
    # A neuron of norm eps sees at most e^(2 n T): outputs and norms by hand at time 0.
    start = limit.errors(asked | {"time": 0.0, "saves": 1}, 0)
    np.testing.assert_allclose(start["squares"], [[1e-6, 1e-8]] * 2)
    lemma = limit.errors(asked | {"time": None}, 0)
    assert np.all(lemma["squares"] > fixed["squares"])


def test_the_error_is_the_distance_of_two_velocities_of_the_direction():
    nets = _networks(scale=0.2)
    [state] = separable.march(nets, np.array([0.0]))
    error, squares, outputs = limit._early_errors(nets, state)
    np.testing.assert_allclose(squares, 0.04)
    for r in range(4):
        x, y, w, v = (part[r] for part in nets)
        scores = w @ x.T
        f = v @ np.maximum(scores, 0)
        assert outputs[r] == pytest.approx(np.abs(f).max())
        worst = 0.0
        for j in range(6):
            unit = w[j] / np.linalg.norm(w[j])
            on = scores[j] > 0
            flow = v[j] / 0.2 * (on * y * np.exp(-y * f)) @ x
            early = np.sign(v[j]) * (on * y) @ x
            turn = (np.eye(7) - np.outer(unit, unit)) @ (flow - early)
            worst = max(worst, float(np.linalg.norm(turn)))
        assert error[r] == pytest.approx(worst)
