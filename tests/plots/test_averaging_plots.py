"""Figures of feature averaging: which mark is which, and nothing is left out."""

import numpy as np
import pytest
from matplotlib.patches import Circle

from jaxbias import plots
from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick
from jaxbias.plots.geometry import COLOURS


def lines(ax, colour):
    """Abscissae and ordinates of the lines of a colour, without those of legends."""
    found = [line for line in ax.get_lines() if line.get_color() == colour]
    rows = [np.array(line.get_xydata()) for line in found]
    return [row for row in rows if len(row)]


def test_a_line_of_the_plane_is_where_the_margin_leaves_zero(tables):
    data = tables["geometry"]
    marks = _frames.geometry(data)
    for mark in pick(marks, panel="max, averaged", series="averaged"):
        # 0.7 = 0.5 x + 0.1 y is the first table's edge.
        np.testing.assert_allclose(0.5 * mark.x + 0.1 * mark.y, 0.699, atol=1e-9)


def test_steps_and_centres_off_a_plane_have_no_mark_in_it(tables):
    marks = _frames.geometry(tables["geometry"])
    names = {(m.panel, m.series) for m in marks}
    assert ("max, averaged", "max attack") in names
    assert ("max, averaged", "sum attack") not in names
    assert ("max, averaged", "centre 3") in names
    assert ("sum, averaged", "centre 3") not in names


def test_circles_have_the_exact_radius(tables):
    data = tables["geometry"]
    for ax in plots.figure(data).axes:
        circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
        assert sorted(c.get_radius() for c in circles) == sorted(data.radius.values)


def test_maps_show_the_first_seed_and_strips_all(tables):
    data = tables["averaging_cosines"]
    axes = plots.figure(data).axes
    image = axes[2].get_images()[0].get_array()
    np.testing.assert_array_equal(image, data.cosine.sel(training="clusters", seed=0))
    strip = lines(axes[5], style.BLUE)
    own = data.own.sel(training="clusters").values > 0
    want = data.cosine.sel(training="clusters").values[:, own]
    np.testing.assert_allclose(np.sort([row[:, 1] for row in strip]), np.sort(want))


def test_a_training_of_fewer_neurons_has_fewer_rows(tables):
    marks = _frames.averaging_cosines(tables["averaging_cosines"])
    assert len(pick(marks, panel="labels", role="row")) == 2
    assert len(pick(marks, panel="clusters", role="row")) == 4


def test_the_range_and_the_closed_form_are_said(tables):
    axes = plots.figure(tables["averaging_cosines"]).axes
    said = " ".join(text.get_text() for text in axes[5].texts)
    assert "0.960 to 1.010" in said
    assert "= 0.990" in said


def test_curves_end_where_no_classifier_reaches(tables):
    data = tables["readout_accuracy"]
    [ceiling] = pick(_frames.readout_accuracy(data), series="ceiling")
    np.testing.assert_array_equal(ceiling.y, data.ceiling)
    ax = plots.figure(data).axes[0]
    texts = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert 40 <= texts["no classifier"] <= 56


@pytest.mark.parametrize("readout", list(COLOURS))
def test_exact_curves_of_every_seed_and_end_are_drawn(tables, readout):
    data = tables["readout_accuracy"]
    drawn = lines(plots.figure(data).axes[0], COLOURS[readout])
    for end in ("certified", "upper"):
        runs = data.accuracy.sel(readout=readout, end=end)
        for want in [*runs.values, np.median(runs, axis=0)]:
            assert any(np.array_equal(want, row[:, 1]) for row in drawn)


def test_published_points_and_closed_forms_stand_where_they_are_known(tables):
    marks = _frames.readout_accuracy(tables["readout_accuracy"])
    [points] = pick(marks, panel="reported", series="averaged")
    assert points.x.tolist() == [16.0, 18.0]
    assert not pick(marks, panel="reported", series="sum")
    assert not pick(marks, panel="formula", series="sum")


def test_a_scan_of_fewer_points_is_not_padded(tables):
    data = tables["averaging_sweeps"]
    marks = _frames.averaging_sweeps(data)
    for mark in pick(marks, panel="clusters"):
        assert mark.x.tolist() == [2.0, 8.0]
        assert np.isfinite(mark.y).all()
    [band] = pick(marks, panel="rate", role="band")
    rate = data.cosine.sel(axis="rate")
    np.testing.assert_array_equal(band.y, rate.min(("seed", "quantile")))
    np.testing.assert_array_equal(band.upper, rate.max(("seed", "quantile")))


def test_bars_join_the_ends_of_the_least_centre_that_is_learned(tables):
    data = tables["phase"]
    [bar] = pick(_frames.phase(data), panel="least", series="sum", role="band")
    own = data.radius.sel(readout="sum")
    assert bar.upper is not None
    np.testing.assert_array_equal(bar.y[:-1], own.sel(end="certified").min("seed")[:-1])
    np.testing.assert_array_equal(bar.upper[:-1], own.sel(end="upper").min("seed")[:-1])
    ends = own.isel(clusters=-1, seed=[1, 2]).min("seed")
    assert (bar.y[-1], bar.upper[-1]) == tuple(ends.sel(end=["certified", "upper"]))


def test_a_centre_that_is_not_learned_is_marked(tables):
    marks = _frames.phase(tables["phase"])
    for readout, at in (("averaged", []), ("max", [16]), ("sum", [16])):
        [broken] = pick(marks, panel="least", series=readout, role="guide")
        assert broken.x.tolist() == at
    ax = plots.figure(tables["phase"]).axes[0]
    assert "a centre not learned" in ax.get_legend_handles_labels()[1]
    learned = tables["phase"].sel(seed=[1, 2])
    ax = plots.figure(learned).axes[0]
    assert "a centre not learned" not in ax.get_legend_handles_labels()[1]


def test_every_seed_is_drawn_at_every_count(tables):
    data = tables["phase"]
    ax = plots.figure(data).axes[0]
    for readout, colour in COLOURS.items():
        drawn = [row[:, 1] for row in lines(ax, colour)]
        for want in data.middle.sel(readout=readout).values:
            assert any(np.array_equal(want, row) for row in drawn)
