"""Figures of image classifiers: what is from above, from below, and in which order."""

import numpy as np
import pytest

from jaxbias import plots
from jaxbias.plots import _frames, style
from jaxbias.plots._panels import pick


def axes_of(tables, kind, **chosen):
    return plots.figure(tables[kind].sel(**chosen)).axes


def drawn_lines(ax, points):
    """Lines that are not there for the legend alone, as (abscissa, ordinate) rows."""
    kept = [x for x in ax.get_lines() if (x.get_linestyle() == "None") == points]
    return [row for line in kept if len(row := np.array(line.get_xydata()))]


def test_the_paper_s_attack_stands_at_the_radii_it_was_run_at(tables):
    data = tables["mnist"]
    marks = _frames.mnist(data)
    [paper] = pick(marks, panel="paper parity", series="3", role="median")
    np.testing.assert_array_equal(paper.x, data.radius[::2])
    [upper] = pick(marks, panel="upper parity", series="3", role="median")
    np.testing.assert_array_equal(upper.x, data.radius)
    want = data.robust_accuracy.sel(task="parity", exponent=3.0, curve="upper")
    np.testing.assert_array_equal(upper.y, want.median("seed"))


def test_ranks_and_the_worst_accuracy_are_those_of_the_table(tables):
    data = tables["mnist"]
    marks = _frames.mnist(data)
    [worst] = pick(marks, panel="accuracy digits", role="worst")
    np.testing.assert_array_equal(worst.y, data.accuracy.sel(task="digits").min("seed"))
    for name in ("weight_rank", "feature_rank"):
        family = pick(marks, panel="stable rank parity", series=name, role="median")
        want = data[name].sel(task="parity").median("seed")
        np.testing.assert_array_equal(family[0].y, want)


def test_attacked_and_certified_have_panels_of_their_own(tables):
    data = tables["mnist"]
    axes = axes_of(tables, "mnist")
    assert len(axes) == 8
    for task, (attacked, certified) in zip(
        data.task.values, (axes[2:4], axes[6:8]), strict=True
    ):
        assert "upper" in attacked.get_ylabel()
        assert "lower" in certified.get_ylabel()
        for ax, curve in ((attacked, "upper"), (certified, "certified")):
            drawn = [row[:, 1] for row in drawn_lines(ax, points=False)]
            seeds = data.robust_accuracy.sel(task=task, curve=curve)
            rows = seeds.transpose("exponent", "seed", "radius").values
            expected = [*rows.reshape(-1, rows.shape[-1]), *np.median(rows, axis=1)]
            assert len(drawn) == len(expected)
            for row in expected:
                assert any(np.allclose(row, one, atol=1e-12) for one in drawn)
        dashed = [line.is_dashed() for line in certified.get_lines()]
        assert any(dashed)
        assert not any(line.is_dashed() for line in attacked.get_lines())


def test_the_paper_s_attack_is_points_in_the_panel_from_above(tables):
    *_, attacked, certified = axes_of(tables, "mnist", task=["digits"])
    assert len(drawn_lines(attacked, points=True)) == 4
    assert not drawn_lines(certified, points=True)
    legend = attacked.get_legend()
    assert legend is not None
    words = {text.get_text() for text in legend.get_texts()}
    assert words == {"best of both attacks", "the paper's attack"}


def test_one_task_is_one_row_without_its_name(tables):
    axes = axes_of(tables, "mnist", task=["digits"])
    assert len(axes) == 4
    assert "digits" not in "".join(ax.get_title(loc="left") for ax in axes)
    both = axes_of(tables, "mnist")
    assert "parity" in both[0].get_title(loc="left")
    assert "digits" in both[4].get_title(loc="left")


def test_digits_of_a_class_stand_together_and_neurons_by_the_nearest(tables):
    data = tables["mnist_cosines"]
    marks = _frames.mnist_cosines(data)
    for task, order in (("parity", [0, 2, 1, 3]), ("digits", [0, 1, 2, 3])):
        panel = pick(marks, panel=f"3 {task}")
        rows = [mark for mark in panel if mark.series.startswith("digit ")]
        assert [mark.series for mark in rows] == [f"digit {k}" for k in order]
        amplitude = pick(panel, series="amplitude")[0].y
        signs = np.sign(amplitude)
        assert (np.diff(signs) <= 0).all()
        nearest = np.argmax([mark.y for mark in rows], axis=0)
        for sign in (1, -1):
            assert (np.diff(nearest[signs == sign]) >= 0).all()
        part = data.sel(task=task, exponent=3.0)
        columns = {float(a): c for a, c in zip(part.amplitude, part.cosine.T.values)}
        for place, size in enumerate(amplitude):
            drawn = [mark.y[place] for mark in rows]
            np.testing.assert_array_equal(drawn, columns[float(size)][order])


def test_the_title_gives_the_median_of_the_largest_cosines(tables):
    data = tables["mnist_cosines"]
    axes = axes_of(tables, "mnist_cosines")
    largest = data.cosine.max("digit").median("neuron").transpose("task", "exponent")
    for ax, value in zip(axes[:4], largest.values.ravel(), strict=True):
        assert f"{value:.2f}" in ax.get_title(loc="left")


def test_two_classes_are_divided_and_ten_are_not(tables):
    axes = axes_of(tables, "mnist_cosines")
    for ax in axes[:2]:
        across, down = (np.array(line.get_xydata()) for line in ax.get_lines())
        assert across[:, 1].tolist() == [2.5, 2.5]
        # Nearest digits 0, 2 and 2 are even.
        assert down[:, 0].tolist() == [3.5, 3.5]
    assert not any(ax.get_lines() for ax in axes[2:4])


@pytest.mark.parametrize("kind", ["mnist", "mnist_cosines"])
def test_a_single_exponent_and_seed_are_drawn_too(kind, tables, tmp_path):
    data = tables[kind].isel(exponent=[0])
    if "seed" in data.dims:
        data = data.isel(seed=[0])
    with style.paper():
        _, png = style.save(plots.figure(data.assign_attrs(plot=kind)), tmp_path / "x")
    assert png.stat().st_size > 5_000
