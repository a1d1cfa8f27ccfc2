"""Figures of two kinds of labels: which curve is which, and every seed is shown."""

import numpy as np
import pytest

from jaxbias import plots
from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick

COLOURS = {"class": style.VERMILION, "max": style.BLUE, "sum": style.GREEN}


def drawn(ax, colour, points=False):
    """Ordinates of the lines of a colour that are not there for the legend alone."""
    lines = [line for line in ax.get_lines() if line.get_color() == colour]
    kept = [x for x in lines if (x.get_linestyle() == "None") == points]
    return [row[:, 1] for x in kept if len(row := np.array(x.get_xydata()))]


def test_the_papers_attack_stands_at_the_radii_it_was_run_at(tables):
    data = tables["supervision"]
    marks = _frames.supervision(data)
    [paper] = pick(marks, panel="paper halves", series="max", role="median")
    np.testing.assert_array_equal(paper.x, data.radius[::2])
    want = data.robust_accuracy.sel(task="halves", readout="max", curve="paper")
    np.testing.assert_array_equal(paper.y, want.median("seed")[::2])
    [upper] = pick(marks, panel="upper halves", series="max", role="median")
    np.testing.assert_array_equal(upper.x, data.radius)


def test_medians_and_accuracies_are_one_line_a_seed_over_the_readouts(tables):
    data = tables["supervision"]
    marks = _frames.supervision(data)
    for end in ("upper", "certified"):
        lines = pick(marks, panel="median parity", series=end, role="seed")
        want = data.median_radius.sel(task="parity", end=end).transpose("seed", ...)
        np.testing.assert_array_equal([mark.y for mark in lines], want)
    lines = pick(marks, panel="accuracy parity", role="seed")
    want = data.accuracy.sel(task="parity").transpose("seed", "readout")
    np.testing.assert_array_equal([mark.y for mark in lines], want)
    assert all(mark.x.tolist() == [0, 1, 2] for mark in lines)


def test_every_seed_and_the_median_of_each_readout_are_drawn(tables):
    data = tables["supervision"]
    axes = plots.figure(data).axes
    assert len(axes) == 8
    for row, task in enumerate(data.task.values):
        for ax, curve in zip(axes[4 * row :][:2], ("upper", "certified"), strict=True):
            for readout, colour in COLOURS.items():
                at = {"task": task, "readout": readout, "curve": curve}
                runs = data.robust_accuracy.sel(at).transpose("seed", "radius").values
                lines = drawn(ax, colour)
                expected = [*runs, np.median(runs, axis=0)]
                assert len(lines) == len(expected)
                for want in expected:
                    assert any(np.allclose(want, line) for line in lines)
                assert len(drawn(ax, colour, points=True)) == (curve == "upper")
        assert "upper" in axes[4 * row].get_ylabel()
        assert "lower" in axes[4 * row + 1].get_ylabel()


def test_certified_curves_are_named_on_the_spot_in_their_colour(tables):
    axes = plots.figure(tables["supervision"]).axes
    for ax in (axes[1], axes[5]):
        named = {text.get_text(): text.get_color() for text in ax.texts}
        assert named == {
            "2 labels": COLOURS["class"],
            "10 labels, max": COLOURS["max"],
            "10 labels, sum": COLOURS["sum"],
        }


def test_tasks_are_rows_with_their_names(tables):
    axes = plots.figure(tables["supervision"]).axes
    titles = [ax.get_title(loc="left") for ax in axes]
    assert "even against odd" in titles[0]
    assert "first half" in titles[4]
    one = plots.figure(tables["supervision"].sel(task=["halves"])).axes
    assert len(one) == 4


def test_classes_of_a_label_stand_together_and_seeds_become_a_median(tables):
    data = tables["supervision_cosines"]
    marks = _frames.supervision_cosines(data)
    rows = pick(marks, panel="parity", role="row")
    assert [mark.series for mark in rows] == ["group 0", "group 1"]
    assert rows[0].x.tolist() == [0, 2, 1, 3]
    want = data.cosine.sel(training="parity").median("seed")[0, [0, 2, 1, 3]]
    np.testing.assert_array_equal(rows[0].y, want)
    assert len(pick(marks, panel="clusters", role="row")) == 4


def test_the_range_of_own_cosines_is_over_classes_and_seeds(tables):
    data = tables["supervision_cosines"]
    data = data.assign(cosine=data.cosine.copy())
    data.cosine[2, 1, 3, 3] = 0.91
    data.cosine[2, 0, 0, 1] = 0.99
    [own] = pick(_frames.supervision_cosines(data), panel="clusters", series="own")
    np.testing.assert_allclose(own.x, [0.72, 0.91])
    assert "0.72 to 0.91" in plots.figure(data).axes[2].get_title(loc="left")


def test_a_group_without_a_neuron_leaves_a_gap(tables):
    data = tables["supervision_cosines"]
    data = data.assign(cosine=data.cosine.copy())
    data.cosine[2, :, 1] = np.nan
    rows = pick(_frames.supervision_cosines(data), panel="clusters", role="row")
    assert np.isnan(rows[1].y).all()
    assert np.isfinite(rows[0].y).all()
    texts = [text.get_text() for text in plots.figure(data).axes[2].texts]
    assert "nan" not in texts


@pytest.mark.parametrize("task", [0, 1])
def test_own_classes_are_framed(tables, task):
    data = tables["supervision_cosines"]
    ax = plots.figure(data).axes[task]
    boxes = [(p.get_x(), p.get_y(), p.get_width()) for p in ax.patches]
    assert boxes == [(-0.5, -0.5, 2), (1.5, 0.5, 2)]
