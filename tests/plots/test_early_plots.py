"""What the figures of early alignment draw and say."""

import early_tables
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Wedge

from jaxbias import plots
from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick


def drawn(kind, data):
    with style.paper():
        figure = plots.figure(data.assign_attrs(plot=kind))
        # Texts of a panel are final once it has been laid out.
        figure.canvas.draw()
    return figure


def words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def points(line):
    return np.array(line.get_xydata())


def has_line(ax, x, y):
    expected = np.stack([x, y], axis=1)
    lines = [points(line) for line in ax.get_lines()]
    return any(
        line.shape == expected.shape
        and np.allclose(line, expected, rtol=1e-12, atol=1e-300)
        for line in lines
    )


# --- alignment ------------------------------------------------------------------------


def test_quartiles_of_the_cosines_are_the_median_and_its_band():
    data = early_tables.alignment()
    marks = pick(_frames.alignment(data), panel="cosine", series="random")
    (median,) = pick(marks, role="median")
    (band,) = pick(marks, role="band")
    values = data.cosine.sel(start="random").median("seed")
    np.testing.assert_allclose(median.y, values.sel(quantile=0.5))
    np.testing.assert_allclose(band.y, values.sel(quantile=0.25))
    np.testing.assert_allclose(band.upper, values.sel(quantile=0.75))
    assert (band.y < median.y).all()
    assert (median.y < band.upper).all()
    assert len(pick(marks, role="seed")) == 2


def test_the_predicted_iteration_is_a_line_with_its_number():
    figure = drawn("alignment", early_tables.alignment())
    left, middle, right = figure.axes
    # Medians over two seeds: 58 and 68, observed at 60 and 70; 38 and 42, at 40 and 44.
    assert "predicted 63\nobserved 65" in words(figure)
    assert "predicted 40\nobserved 42" in words(figure)
    upright = {
        points(line)[0, 0]: to_hex(line.get_color())
        for line in left.get_lines()
        if points(line)[:, 1].tolist() == [0, 1]
    }
    assert upright == {63.0: style.BLACK, 40.0: to_hex(style.ORANGE)}
    assert has_line(left, [65.0], [0.5])
    assert has_line(left, [42.0], [0.5])
    assert {"random start", "nudged start"} <= set(words(figure))
    assert "F^{(3)}" in right.get_title(loc="left")
    assert not [line for line in middle.get_lines() if len(points(line)) == 2]


def test_every_panel_of_alignment_holds_its_numbers():
    data = early_tables.alignment()
    figure = drawn("alignment", data)
    for ax, panel in zip(figure.axes, ("cosine", "loss", "distance"), strict=True):
        for mark in pick(_frames.alignment(data), panel=panel, role="median"):
            assert has_line(ax, mark.x, mark.y)


# --- two phases -----------------------------------------------------------------------


def test_directions_are_those_of_the_first_seed_by_sign():
    marks = _frames.two_phases(early_tables.two_phases())
    (positive,) = pick(marks, panel="directions 30", series="positive")
    (negative,) = pick(marks, panel="directions 30", series="negative")
    np.testing.assert_array_equal(positive.x, [-90.0, 27.5, 27.5])
    np.testing.assert_array_equal(negative.x, [-170.0, 152.5, 152.5])
    assert not pick(marks, panel="directions 300")


def test_half_the_loss_is_interpolated():
    data = early_tables.two_phases()
    marks = _frames.two_phases(data)
    (both,) = pick(marks, panel="both", series="loss")
    (first,) = pick(marks, panel="first", series="loss")
    # 4/(1 + n) is at half of its start where n = 1, which is a record.
    assert first.x[0] == pytest.approx(1.0)
    loss = data.loss.sel(layers="both").isel(seed=0)
    start = float(loss[0])
    assert float(loss.interp(iteration=both.x[0])) == pytest.approx(start / 2)


def test_neurons_stand_around_the_circle_and_cones_in_it():
    figure = drawn("two_phases", early_tables.two_phases())
    circle = figure.axes[1]
    dots = {
        to_hex(line.get_color()): points(line)
        for line in circle.get_lines()
        if line.get_marker() == "o"
    }
    turned = np.deg2rad([-90.0, 27.5, 27.5])
    at = 1.1 * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    np.testing.assert_allclose(dots[to_hex(style.BLUE)], at, atol=1e-12)
    wedges = [patch for patch in circle.patches if isinstance(patch, Wedge)]
    arcs = {(w.theta1, w.theta2): to_hex(w.get_facecolor()) for w in wedges}
    assert arcs == {
        (-55.0, 55.0): to_hex(style.BLUE),
        (125.0, 235.0): to_hex(style.VERMILION),
        (250.0, 290.0): to_hex(style.GREY),
    }


def test_an_empty_cone_is_not_drawn():
    data = early_tables.two_phases()
    data["arc"] = data.arc.where(data.cell != "dead")
    figure = drawn("two_phases", data)
    assert len([p for p in figure.axes[0].patches if isinstance(p, Wedge)]) == 2
    assert not any("dead" in word for word in words(figure))


def test_both_ways_of_training_share_their_scales():
    data = early_tables.two_phases()
    figure = drawn("two_phases", data)
    both, first = figure.axes[-2:]
    assert both.get_xlim() == first.get_xlim()
    assert both.get_ylim() == first.get_ylim()
    for ax, name in ((both, "both"), (first, "first")):
        assert ax.get_xscale() == ax.get_yscale() == "log"
        for mark in pick(_frames.two_phases(data), panel=name, role="median"):
            assert has_line(ax, mark.x, mark.y)
    assert "turning" in " ".join(words(figure))


# --- separability ---------------------------------------------------------------------


def test_positive_neurons_alone_are_drawn_by_how_they_started():
    data = early_tables.separable()
    marks = _frames.separable(data)
    for panel in ("0", "0.1"):
        counts = {a: len(pick(marks, panel=panel, series=a)) for a in "012"}
        assert counts == {"0": 1, "1": 2, "2": 1}
    (both,) = pick(marks, panel="0", series="2")
    np.testing.assert_allclose(both.y, data.direction.values[0, 0, 1])
    # Contributions stand for the smallest separation only.
    assert len(pick(marks, panel="contribution")) == 4


def test_panels_of_separability_hold_paths_and_guides():
    data = early_tables.separable()
    figure = drawn("separable", data)
    marks = _frames.separable(data)
    for ax, panel in zip(figure.axes, ("0", "0.1", "contribution"), strict=True):
        for active in "12":
            for mark in pick(marks, panel=panel, series=active):
                assert has_line(ax, mark.x, mark.y)
    apart, close = figure.axes[1], figure.axes[0]
    np.testing.assert_allclose(close.get_yticks(), [0, 45, 90])
    # x_2 stands at 90 degrees less the angle, x_+ halfway.
    second = 90 - np.rad2deg(0.1)
    np.testing.assert_allclose(apart.get_yticks(), [0, second / 2, second])


def test_neurons_that_never_move_have_contributions_but_no_path():
    data = early_tables.separable()
    figure = drawn("separable", data)
    (still,) = pick(_frames.separable(data), panel="0", series="0")
    assert not has_line(figure.axes[0], still.x, still.y)
    (flat,) = pick(_frames.separable(data), panel="contribution", series="0")
    assert has_line(figure.axes[-1], flat.x, flat.y)
    names = {word.strip() for word in words(figure)}
    assert {"on none", "on one", "on both samples"} <= names
