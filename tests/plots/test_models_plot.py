"""Panels of compared models: curves, certificates, guides, fits that failed."""

import subprocess
import sys

import numpy as np
import pytest
from model_tables import MODEL_TABLES, RADIUS, compared

from jaxbias import plots
from jaxbias.plots import _model_frames, _panels
from jaxbias.plots._model_panels import crossing, misfits

MODELS = ("prelu", "bayes", "relu", "mlp", "tanh", "logistic")


def one(marks, **wanted):
    [mark] = _panels.pick(marks, **wanted)
    return mark


def texts(figure):
    axes = [*figure.axes, *(child for ax in figure.axes for child in ax.child_axes)]
    return [text.get_text() for ax in axes for text in ax.texts]


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()]


@pytest.mark.parametrize("name", MODELS)
def test_attacked_curves_are_the_shares_of_the_table(name, tables):
    marks = _model_frames.models(tables["models"])
    runs = tables["models"].accuracy.sel(model=name, curve="attacked")
    median = one(marks, panel=name, series="attacked", role="median")
    np.testing.assert_allclose(median.y, runs.mean("seed"), rtol=1e-12)
    worst = one(marks, panel=name, series="attacked", role="worst")
    np.testing.assert_array_equal(worst.y, runs.min("seed"))
    assert len(_panels.pick(marks, panel=name, series="attacked", role="seed")) == 2


def test_a_band_stands_where_there_is_a_certificate_and_nowhere_else(tables):
    marks = _model_frames.models(tables["models"])
    bands = {mark.panel: mark for mark in _panels.pick(marks, series="interval")}
    assert set(bands) == {"prelu", "bayes", "relu", "logistic"}
    for band in bands.values():
        assert (band.y <= band.upper).all()
    assert (bands["relu"].y < bands["relu"].upper).any()
    assert (bands["bayes"].y == bands["bayes"].upper).all()


def test_only_the_bayes_rule_stands_beside_the_nearest_centre(tables):
    marks = _model_frames.models(tables["models"])
    form = one(marks, series="nearest centre")
    assert form.panel == "bayes"
    np.testing.assert_array_equal(form.y, tables["models"].nearest_centre)
    others = _model_frames.parametrisations(tables["parametrisations"])
    assert not _panels.pick(others, series="nearest centre")


def test_every_panel_has_the_ceiling_from_half_root_two_on(tables):
    marks = _model_frames.models(tables["models"])
    ceilings = _panels.pick(marks, series="ceiling")
    assert [mark.panel for mark in ceilings] == list(MODELS)
    lowered = ceilings[0].y < 1
    assert ceilings[0].x[lowered].min() >= np.sqrt(0.5)
    assert (ceilings[0].upper == 1).all()


def test_the_crossing_is_the_last_radius_with_more_than_half_right(tables):
    marks = _model_frames.models(tables["models"])
    median = one(marks, panel="relu", series="attacked", role="median")
    place = crossing(median)
    assert place in RADIUS
    assert 0.28 < place < 0.34
    assert crossing(median._replace(y=np.zeros_like(median.y))) == 0.0


def test_a_model_that_does_not_fit_is_named_with_its_accuracy(tables):
    data = tables["models"]
    assert misfits(data, "logistic") == (
        "1 of 2 seeds not fitted,\ntraining accuracy 0.75"
    )
    assert misfits(data, "relu") == ""
    for kind in MODEL_TABLES:
        shown = texts(plots.figure(tables[kind]))
        assert sum("not fitted" in text for text in shown) == 1


def test_shared_centres_are_counted_over_the_seeds(tables):
    data = tables["models"]
    assert not any("share" in text for text in texts(plots.figure(data)))
    data.own_cosine[0, :, 3] = 0.5**0.5
    data.own_cosine[0, 1, 4] = 0.5**0.5
    data.own_cosine[2] = 0.5
    shown = [text for text in texts(plots.figure(data)) if "share" in text]
    assert shown == ["3 of 20 centres\nshare a neuron"]


def test_a_diverged_model_has_no_curve_but_a_note():
    data = compared({"relu": (0.3, 0.28), "mlp": (np.nan, np.nan)})
    data = data.assign_attrs(plot="models")
    data.status[1, :] = "diverged"
    data.train_accuracy[1, :] = np.nan
    marks = _model_frames.models(data)
    assert {m.series for m in _panels.pick(marks, panel="mlp")} == {"ceiling"}
    figure = plots.figure(data)
    assert "2 of 2 seeds not fitted" in texts(figure)


def test_a_seed_that_diverged_leaves_the_others_drawn():
    data = compared({"relu": (0.3, 0.28), "mlp": (0.3, np.nan)})
    data.accuracy[1, :, 1] = np.nan
    marks = _model_frames.models(data)
    family = _panels.pick(marks, panel="mlp", series="attacked")
    assert [m.role for m in family] == ["seed", "median", "worst"]
    np.testing.assert_array_equal(family[0].y, family[1].y)


def test_panels_are_named_and_carry_the_closed_forms(tables):
    figure = plots.figure(tables["models"])
    named = titles(figure)
    assert len(named) == len(MODELS)
    assert "pReLU" in named[0]
    assert "logistic" in named[-1]
    for ax in figure.axes:
        upright = {
            round(float(line.get_xdata()[0]), 6)
            for line in ax.get_lines()
            if len(set(line.get_xdata())) == 1
        }
        assert {round(10**-0.5, 6), round(0.5**0.5, 6)} <= upright
    shown = texts(figure)
    assert shown.count(r"$1/\sqrt{K}$") == shown.count(r"$\sqrt{2}/2$") == len(MODELS)


def test_insets_magnify_the_cliff_of_their_own_model(tables):
    figure = plots.figure(tables["models"])
    for ax, place in zip(figure.axes, (0.7, 0.7, 0.33, 0.35, 0.32, 0.32), strict=True):
        [inset] = ax.child_axes
        low, high = inset.get_xlim()
        assert low < place < high
        assert high - low < 0.2


def test_the_medians_of_the_others_stand_behind(tables):
    figure = plots.figure(tables["models"])
    for ax in figure.axes:
        grey = [line for line in ax.get_lines() if line.get_color() == "#bdbdbd"]
        assert len(grey) == len(MODELS) - 1


def test_odd_numbers_of_models_leave_no_empty_panel():
    names = dict.fromkeys(("prelu", "relu", "mlp", "unheard of"), (0.4, 0.3))
    figure = plots.figure(compared(names).assign_attrs(plot="models"))
    assert len(figure.axes) == 6
    assert len(titles(figure)) == 4
    assert "unheard of" in titles(figure)[-1]


def test_each_start_is_named_beside_its_curves(tables):
    figure = plots.figure(tables["parametrisations"])
    assert len(figure.axes) == 2
    for ax in figure.axes:
        places = {t.get_text(): t.get_position()[0] for t in ax.texts}
        assert {"small start", "large start"} <= set(places)
        assert places["large start"] < places["small start"]


@pytest.mark.parametrize("kind", MODEL_TABLES)
def test_drawing_from_a_file_imports_no_jax(kind, tables, tmp_path):
    path = tmp_path / "study" / "data" / f"{kind}.nc"
    path.parent.mkdir(parents=True)
    tables[kind].to_netcdf(path, engine="h5netcdf")
    code = (
        "import sys, jaxbias.plots as plots\n"
        f"plots.draw({str(path)!r})\n"
        "assert 'jax' not in sys.modules, 'drawing imported jax'\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "study" / f"{kind}.png").stat().st_size > 5_000
