"""Early alignment in the plane against its closed forms and finite differences."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.studies import _plane as plane
from jaxbias.studies import _separable as study
from jaxbias.sweeps.keys import run_key

RATE = 5e-3
APART = (0.1, 1e-3, 0.0)


@pytest.fixture(scope="module")
def separated():
    said = []
    table = study.separability(
        angles=APART,
        width=40,
        scale=1e-6,
        rate=RATE,
        iterations=2800,
        every=10,
        seeds=(0, 1),
        root="test",
        tick=said.append,
    )
    return table, said


@pytest.fixture(scope="module")
def phases():
    said = []
    table = study.two_phases(
        width=40,
        scale=1e-6,
        rate=RATE,
        iterations=1800,
        shown=(0, 100, 900),
        seeds=(0, 1),
        root="test",
        tick=said.append,
    )
    return table, said


def positive(table, separation, active):
    """(neuron, iteration) directions and contributions of one kind of neuron."""
    part = table.sel(separation=separation)
    own = ((part.sign > 0) & (part.active == active)).values
    return part.direction.values[own], part.contribution.values[own]


# --- separability ---------------------------------------------------------------------


def test_tables_have_their_labels_and_starts_are_shared(separated):
    table, said = separated
    assert table.direction.dims == ("separation", "seed", "neuron", "iteration")
    assert len(said) == len(set(said)) == 6
    assert table.attrs["unfinished"] == 0
    assert np.isfinite(table.direction).all()
    first = table.direction.isel(iteration=0).values
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0, 0], first[0, 1])
    assert set(np.unique(table.active)) == {0.0, 1.0, 2.0}


def test_orthogonal_samples_freeze_what_is_active(separated):
    table, _ = separated
    one, _ = positive(table, 0.0, 1)
    ends = np.where(one[:, 0] < 45, 0.0, 90.0)
    np.testing.assert_allclose(one[:, -1], ends, atol=0.05)
    assert {0.0, 90.0} == set(ends)
    both, _ = positive(table, 0.0, 2)
    np.testing.assert_allclose(both[:, -1], 45.0, atol=0.05)
    none, sizes = positive(table, 0.0, 0)
    np.testing.assert_array_equal(none, none[:, :1] * np.ones(none.shape[1]))
    np.testing.assert_array_equal(sizes, sizes[:, :1] * np.ones(none.shape[1]))


def test_frozen_neurons_follow_their_closed_form(separated):
    # c' = 1 - c^2 with one active sample, so the angle to it has tan(angle/2) e^-t;
    # with both the same about x_+ at rate |x_+|. Euler steps are off by O(rate).
    table, _ = separated
    time = RATE * table.iteration.values
    early = time < 6
    one, _ = positive(table, 0.0, 1)
    home = np.where(one[:, :1] < 45, 0.0, 90.0)
    both, _ = positive(table, 0.0, 2)
    for paths, to, rate in ((one, home, 1.0), (both, 45.0, np.sqrt(2))):
        tangent = np.tan(np.deg2rad(paths[:, :1] - to) / 2) * np.exp(-rate * time)
        expected = to + 2 * np.rad2deg(np.arctan(tangent))
        np.testing.assert_allclose(paths[:, early], expected[:, early], atol=0.3)
        assert np.abs(paths[:, 0] - expected[:, -1]).max() > 10


def test_what_no_sample_sees_never_changes(separated):
    # |w| sin(angle) is the unseen coordinate; |w|^2 = |v||w| by balance.
    table, _ = separated
    paths, sizes = positive(table, 0.0, 1)
    low = paths[:, 0] < 45
    off = np.where(low[:, None], paths, 90 - paths)
    unseen = np.sqrt(sizes) * np.sin(np.deg2rad(off))
    np.testing.assert_allclose(unseen, unseen[:, :1] * np.ones(len(off[0])), rtol=0.02)


def test_at_the_boundary_only_averaged_neurons_grow(separated):
    table, _ = separated
    one, both = (positive(table, 0.0, active)[1][:, -1] for active in (1, 2))
    assert one.max() < 1e-3 * both.max()
    assert both.sum() > 0.99 * (one.sum() + both.sum())


def meeting(table, separation):
    """When neurons active on one sample meet the other: observed and predicted."""
    paths, _ = positive(table, separation, 1)
    second = 90 - np.rad2deg(separation)
    # From the sample a neuron is active on, away from the other one.
    low = paths[:, :1] < second / 2
    off = np.where(low, -paths, paths - second)
    off = off[off[:, 0] > np.rad2deg(separation) + 1]
    reached = np.argmax(off <= np.rad2deg(separation), axis=1)
    start = np.tan(np.deg2rad(off[:, 0]) / 2)
    expected = np.log(start / np.tan(separation / 2))
    return RATE * table.iteration.values[reached], expected


def test_neurons_meet_the_other_sample_after_a_logarithm(separated):
    table, _ = separated
    found = {angle: meeting(table, angle) for angle in APART[:2]}
    for observed, expected in found.values():
        assert len(observed) >= 4
        np.testing.assert_allclose(observed, expected, atol=0.1)
    later = found[1e-3][0].max() - found[0.1][0].max()
    assert later == pytest.approx(np.log(100), abs=0.3)


def test_separable_samples_gather_every_active_neuron(separated):
    table, _ = separated
    for angle in APART[:2]:
        middle = 45 - np.rad2deg(angle) / 2
        for active in (1, 2):
            paths, _ = positive(table, angle, active)
            np.testing.assert_allclose(paths[:, -1], middle, atol=3.0)


# --- cones ----------------------------------------------------------------------------


def test_cones_of_the_toy_data_are_the_ones_drawn_by_hand():
    data = plane.toy_data()
    arcs = plane.cells(np.asarray(data.inputs), np.asarray(data.labels))
    np.testing.assert_allclose(arcs % 360, [[305, 55], [125, 235], [250, 290]])
    signed = np.asarray(data.inputs) * np.asarray(data.labels)[:, None]
    assert (signed @ signed.T).min() == pytest.approx(np.cos(np.deg2rad(70)))


@pytest.mark.parametrize("seed", range(4))
def test_cones_agree_with_counting_directions(seed):
    rng = np.random.default_rng(seed)
    turned = np.deg2rad(rng.uniform(-60, 60, 5))
    labels = np.array([1.0, 1.0, -1.0, -1.0, 1.0])
    inputs = labels[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    arcs = plane.cells(inputs, labels)
    angles = np.arange(0, 360, 0.1)
    points = np.deg2rad(angles)
    active = np.stack([np.cos(points), np.sin(points)], axis=1) @ inputs.T > 0
    wanted = (labels > 0, labels < 0, np.zeros(5, bool))
    for (first, last), pattern in zip(arcs, wanted, strict=True):
        share = (active == pattern).all(axis=1).mean()
        assert np.nan_to_num(last - first) == pytest.approx(360 * share, abs=0.3)


def test_a_cone_may_be_empty():
    # y_i x_i of the positive sample lies between those of the negative ones.
    turned = np.deg2rad([0.0, 210.0, 150.0])
    inputs = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    arcs = plane.cells(inputs, np.array([1.0, -1.0, -1.0]))
    np.testing.assert_allclose(arcs[:2] % 360, [[300, 60], [120, 240]])
    assert np.isnan(arcs[2]).all()


# --- two phases -----------------------------------------------------------------------


def test_rates_are_finite_differences():
    rng = np.random.default_rng(0)
    hidden, velocity = rng.normal(size=(2, 3, 7, 2))
    turning, growth = plane.rates(hidden, velocity)
    step = 1e-6
    ends = [hidden + side * step * velocity for side in (1, -1)]
    squares = [(end**2).sum(axis=(1, 2)) for end in ends]
    np.testing.assert_allclose(growth, (squares[0] - squares[1]) / (2 * step))
    units = [end / np.linalg.norm(end, axis=2, keepdims=True) for end in ends]
    speed = np.linalg.norm(units[0] - units[1], axis=2).sum(axis=1) / (2 * step)
    np.testing.assert_allclose(turning, speed, rtol=1e-6)


@pytest.mark.parametrize("output", ["trained", "frozen"])
def test_rates_are_those_of_the_path(output):
    """Differences along a fine descent, and the gradient written out."""
    data, rate = plane.toy_data(), 1e-4
    network = TwoLayer(20, init=balanced(0.05), output=output)
    draw, follow = plane.programs(GradientFlow(network, data, clock="sum"), rate)
    path = follow(draw(run_key("test", 0)), np.array([0, 1, 2]))
    inputs, labels = np.asarray(data.inputs), np.asarray(data.labels)
    hidden, output = path.hidden[1], path.output[1]
    scores = inputs @ hidden.T
    outputs = np.maximum(scores, 0) @ output
    pull = (labels * np.exp(-labels * outputs))[:, None] * (scores > 0)
    np.testing.assert_allclose(path.velocity[1], output[:, None] * (pull.T @ inputs))
    assert path.loss[1] == pytest.approx(np.exp(-labels * outputs).sum())

    turning, growth = plane.rates(path.hidden, path.velocity)
    squares = (path.hidden**2).sum(axis=(1, 2))
    assert growth[1] == pytest.approx((squares[2] - squares[0]) / (2 * rate), rel=1e-3)
    units = path.hidden / np.linalg.norm(path.hidden, axis=2, keepdims=True)
    speed = np.linalg.norm(units[2] - units[0], axis=1).sum() / (2 * rate)
    assert turning[1] == pytest.approx(speed, rel=1e-2)


def test_the_first_layer_alone_grows_at_once(phases):
    table, said = phases
    assert len(said) == len(set(said)) == 4
    assert table.attrs["unfinished"] == 0
    # With v = +-1 and w near 0 each neuron's gradient is that of x_a(w), of size O(1):
    # after one step squared norms are (rate |x_a|)^2, whatever the scale.
    jump = table.growth.sel(layers="first", iteration=1)
    assert (np.abs(np.log10(jump)) < 1).all()
    slow = table.growth.sel(layers="both", iteration=1)
    assert (np.abs(slow) < 1e-9).all()


def test_two_phases_with_both_layers_and_not_with_the_first_alone(phases):
    table, _ = phases
    for seed in (0, 1):
        both, first = (table.sel(layers=name, seed=seed) for name in study.LAYERS)
        begun = int(np.argmax(both.growth.values > 0.01 * float(both.growth.max())))
        turned = both.turning.values
        assert turned[begun] < 0.01 * turned[0]
        assert float(both.loss[begun]) > 0.95 * float(both.loss[0])
        # Of the first alone, at half the loss: still turning as fast as it grows.
        half = int(np.argmax(first.loss.values < first.loss.values[0] / 2))
        assert first.turning.values[half] > first.growth.values[half]
        half_both = int(np.argmax(both.loss.values < both.loss.values[0] / 2))
        assert turned[half_both] < 1e-3 * both.growth.values[half_both]


def test_neurons_end_in_their_cone_or_dead(phases):
    table, _ = phases
    last = table.direction.sel(shown=900).values
    sign = table.sign.values
    moved = np.abs(last - table.direction.sel(shown=0).values) > 1e-9
    # x_+ lies between 35 and 20 degrees, x_- between 160 and 145.
    for side, home in ((1, 27.5), (-1, 152.5)):
        own = last[sign == side]
        gathered = np.abs(own - home) < 1.0
        resting = np.abs((own + 90 + 180) % 360 - 180) <= 20.5
        assert (gathered | resting).all()
        assert gathered.mean() > 0.5
    assert moved.mean() > 0.7


def test_the_shown_directions_are_of_the_descent_with_both_layers(phases):
    table, _ = phases
    network = TwoLayer(40, init=balanced(1e-6))
    flow = GradientFlow(network, plane.toy_data(), clock="sum")
    draw, _ = plane.programs(flow, RATE)
    start = draw(run_key("test", 1)).initial
    turned = jnp.rad2deg(jnp.arctan2(start.hidden[:, 1], start.hidden[:, 0]))
    np.testing.assert_allclose(table.direction.sel(seed=1, shown=0), turned)
    np.testing.assert_array_equal(table.sign.sel(seed=1), np.sign(start.output))
    assert {0, 100, 900} <= set(table.iteration.values.tolist())
