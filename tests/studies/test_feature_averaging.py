"""The study of feature averaging at toy sizes, and its pieces against closed forms."""

import json
import types
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.dynamics import fixed_step
from jaxbias.experiments.averaging import Averaging
from jaxbias.experiments.measurement import Centres
from jaxbias.networks.activations import ReLU
from jaxbias.networks.decoupling import decoupled_network
from jaxbias.networks.readouts import SummedLogits
from jaxbias.networks.weights import Weights
from jaxbias.results import open as open_results
from jaxbias.results import spec_hash
from jaxbias.robustness import radius
from jaxbias.studies import STUDIES, StudyReport, feature_averaging
from jaxbias.studies import _averaging_laws as laws
from jaxbias.studies._averaging_planes import attacks, planes
from jaxbias.studies._averaging_runs import FreshRadii, run_sweep, trainings
from jaxbias.studies._averaging_scans import Scans
from jaxbias.studies._averaging_words import images, ratios
from jaxbias.studies._report import Folder
from jaxbias.studies._supervised import MNIST, Supervision
from jaxbias.sweeps import run
from jaxbias.theory.averaging import own_cosine
from jaxbias.verification import _readout_networks as explicit

SMALL = Averaging(256, 4, None, 20, 2, steps=(60,))
TOY = feature_averaging.Settings(
    clusters=3,
    positive=2,
    grid=21,
    recipe=SMALL,
    seeds=2,
    attacked=1,
    points=12,
    largest=16.0,
    budgets=(4.0, 8.0, 12.0, 16.0),
    attack_steps=3,
    scans=Scans(
        base=SMALL,
        rates=(0.1, 1.0),
        init_scales=(1e-5,),
        counts=(4,),
        dims=(256,),
        samples=(20,),
        seeds=2,
    ),
    pictures=(
        Supervision(epochs=2, width=12, points=10, budgets=2, steps=2, largest=1.0),
    ),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "feature_averaging"
    calls, sweeping, outside = [], [], []
    row = {"claim": "a/b", "verdict": "holds", "expected": "holds"}
    verdict = types.SimpleNamespace(row=lambda: row)
    with pytest.MonkeyPatch.context() as patch:
        # The claims have tests of their own; here only their rows are needed.
        patch.setattr(feature_averaging, "verify", lambda *_, **__: [verdict])
        _watch(patch, sweeping, outside)
        report = feature_averaging.run_settings(
            TOY, "paper", path, lambda *call: calls.append(call)
        )
    assert sweeping, "descents are seen where they are traced"
    assert not outside
    return report, path, calls


def _watch(patch, sweeping, outside):
    """Note descents that are traced while a sweep computes, and others."""
    compute, integrate = run.run_batch, fixed_step.integrate
    inside = []

    def batch(*args):
        inside.append(True)
        try:
            return compute(*args)
        finally:
            inside.pop()

    def descend(*args, **options):
        (sweeping if inside else outside).append(True)
        return integrate(*args, **options)

    patch.setattr(run, "run_batch", batch)
    patch.setattr(fixed_step, "integrate", descend)


def table(finished, name):
    return open_results(finished[1] / "data" / f"{name}.nc")


def test_a_run_leaves_every_figure_with_its_data_and_names_it(finished):
    report, path, calls = finished
    assert report.failed == 0
    # MNIST is not of size quick, since its files may be missing.
    names = {n for n in STUDIES["feature_averaging"].figures if "mnist" not in n}
    assert {p.stem for p in report.figures} == names
    for name in names:
        for file in (f"{name}.pdf", f"{name}.png", f"data/{name}.nc"):
            assert (path / file).stat().st_size > 0
    assert json.loads((path / "verdicts.json").read_text()) == report.rows
    page = (path / "README.md").read_text()
    assert all(f"![{name}]({name}.png)" in page for name in names)
    assert "| a/b | holds | holds |" in page
    assert "nan" not in page
    assert all(0 <= done <= total for done, total, _ in calls)
    done = {what for done, total, what in calls if done == total}
    assert {"own cosines, dim", "radii, trained on clusters"} < done


def test_certified_upper_and_attack_are_in_this_order(finished):
    data = table(finished, "readout_accuracy")
    lower, upper = (data.accuracy.sel(end=end) for end in ("certified", "upper"))
    assert (lower <= upper).all()
    at = upper.sel(radius=data.budget, method="nearest").drop_vars("radius")
    assert (data.attack >= at).all(), "no attack takes more than exact radii leave"
    assert float(data.closed.min()) == 1.0
    assert float(upper.isel(radius=0).min()) == 1.0
    assert (np.diff(upper.values, axis=-1) <= 0).all()
    assert (upper <= data.ceiling + 0.25).all()


def test_max_withstands_more_than_sums_and_sums_more_than_averages(finished):
    median = table(finished, "readout_accuracy").median_radius.sel(end="upper")
    ranked = [median.sel(readout=name).values for name in ("max", "sum", "averaged")]
    assert (ranked[0] > 1.05 * ranked[1]).all()
    assert (ranked[1] > 1.05 * ranked[2]).all()
    data = table(finished, "phase")
    middle = [data.middle.sel(readout=name) for name in ("max", "sum", "averaged")]
    assert (middle[0] > 1.1 * middle[1]).all()
    assert (middle[1] > 1.1 * middle[2]).all()


def test_radii_at_the_centres_follow_the_closed_forms(finished):
    data = table(finished, "phase")
    least, upper = (data.radius.sel(end=end) for end in ("certified", "upper"))
    np.testing.assert_allclose(least, upper, rtol=1e-5)
    assert (upper <= data.middle + 1e-12).all()
    # 20 samples a cluster cost a factor 1/sqrt(1.05).
    shrunk = data.ideal.sel(clusters=4) / np.sqrt(1.05)
    middle = data.middle.sel(clusters=4).median("seed")
    for name in ("averaged", "max"):
        found, law = (one.sel(readout=name) for one in (middle, shrunk))
        np.testing.assert_allclose(found, law, rtol=0.03)
    summed = middle.sel(readout="sum")
    assert float(summed) > 1.02 * float(shrunk.sel(readout="sum"))
    np.testing.assert_allclose(summed, data.tails.median(), rtol=0.03)


def test_cosines_are_those_of_averages_and_of_single_centres(finished):
    data = table(finished, "averaging_cosines")
    for training, count in (("labels", 2), ("clusters", 1)):
        part = data.sel(training=training).dropna("neuron", how="all")
        own = part.own.values > 0
        assert (own.sum(axis=1) == count).all()
        cosine = part.cosine.values[:, own]
        assert abs(cosine.mean() - own_cosine(count, 0, 1, 20)) < 0.02
        assert np.abs(part.cosine.values[:, ~own]).max() < 0.2
        np.testing.assert_allclose(part.predicted, own_cosine(count, 0, 1, 20))
    # Descent of larger output weights moves more in its first, uneven step.
    wide = data.cosine.where(data.own > 0).std(("seed", "neuron", "cluster"))
    assert float(wide.sel(training="labels, size 1")) > 1.3 * float(
        wide.sel(training="labels")
    )


def test_scans_meet_the_closed_form_and_spread_with_the_rate(finished):
    data = table(finished, "averaging_sweeps")
    middle = data.cosine.sel(quantile=0.5).median("seed")
    np.testing.assert_allclose(middle, data.predicted.sel(quantile=0.5), rtol=0.03)
    rates = data.sel(axis="rate")
    spread = (rates.cosine.sel(quantile=1) - rates.cosine.sel(quantile=0)).min("seed")
    assert float(spread[1]) > 1.5 * float(spread[0])
    assert data.value.sel(axis="clusters").values[0] == 4.0
    assert np.isnan(data.value.sel(axis="dim").values[1])


def test_a_run_that_goes_on_in_its_folder_computes_nothing_again(finished, monkeypatch):
    _, path, _ = finished
    # Three trainings of the paper's size, two over the number of clusters, four scans.
    assert len([p for p in (path / "cells").iterdir() if p.is_dir()]) == 9
    monkeypatch.setattr("jaxbias.sweeps.run.run_batch", None)
    names = ("averaging_cosines", "readout_accuracy", "averaging_sweeps", "phase")
    kept = {name: table(finished, name).load() for name in names}
    folder = Folder(path, TOY, range(2), keep=True)
    nothing = lambda *_: None
    feature_averaging.paper_size(TOY, folder, nothing)
    feature_averaging.small_networks(TOY, folder, nothing)
    for name, before in kept.items():
        xr.testing.assert_equal(before, table(finished, name))


def test_a_missing_data_set_is_found_out_before_anything_is_computed(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("JAXBIAS_DATA", str(tmp_path / "nowhere"))
    called = []
    with pytest.raises(InputError, match="nowhere"):
        feature_averaging.run_settings(
            replace(TOY, pictures=(MNIST,)),
            "paper",
            tmp_path / "out",
            lambda *call: called.append(call),
        )
    assert not called
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", feature_averaging.SIZES)
def test_settings_of_every_size_are_the_papers(size):
    settings = feature_averaging.SIZES[size]
    assert len(spec_hash(settings)) == 16
    recipe = settings.recipe
    assert recipe.learning_rate == pytest.approx(1e-3)
    assert replace(recipe, rate=1.0) == Averaging(
        3072, 10, 5, 100, 5, 1.0, 1e-5, steps=(100,)
    )
    assert settings.points == 1000
    assert any(one.data == "mnist" for one in settings.pictures) == (size != "quick")
    assert settings.scans.base.positive is None, "half of them, at every count"


@pytest.mark.parametrize("there", [True, False])
def test_mnist_joins_size_quick_where_its_files_are(there, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_DATA", "somewhere" if there else "")
    seen = []

    def note(settings, *_):
        seen.append(settings)
        return StudyReport([], [], 0)

    monkeypatch.setattr(feature_averaging, "run_settings", note)
    feature_averaging.run("quick", tmp_path, lambda *_: None)
    [settings] = seen
    names = [protocol.data for protocol in settings.pictures]
    assert names == (["digits", "mnist"] if there else ["digits"])


def test_planes_hold_the_shortest_steps_and_their_circles_touch():
    data = planes(3, 5, 41)
    np.testing.assert_allclose(data.radius, data.ideal, rtol=1e-6)
    for readout, step in attacks(3, 5).items():
        length = float(data.ideal.sel(readout=readout))
        assert np.linalg.norm(step) == pytest.approx(length)
        here = data.attack.sel(readout=readout).dropna("plane")
        assert here.sizes["plane"] == 2
        np.testing.assert_allclose(np.linalg.norm(here, axis=1), length)
        # Nothing within the circle is wrong, on any plane.
        inside = data.x**2 + data.y**2 < (0.999 * length) ** 2
        assert (data.margin.sel(readout=readout).where(inside, 1.0) > 0).all()
    assert np.isfinite(data.centre.sel(cluster=[2, 3, 5])).sum() == 0


def test_a_seed_has_the_same_clusters_in_every_training():
    options = {"root": "r", "cells": None, "progress": lambda *_: None}
    fresh = FreshRadii(4, (8.0,), 1, "r", seeds=1)
    two, _, all_ = (
        run_sweep("", one, {}, 2, measure=[Centres(), fresh], **options)
        for one in trainings(SMALL).values()
    )
    np.testing.assert_array_equal(two.centres, all_.centres)
    np.testing.assert_array_equal(two.centre_labels, all_.centre_labels)
    for each in (two, all_):
        assert np.isfinite(each.radius_upper[0]).all()
        assert np.isnan(each.radius_upper[1]).all(), "no seed beyond the first"


def test_trainings_have_one_learning_rate():
    rates = [one.learning_rate for one in trainings(SMALL).values()]
    np.testing.assert_allclose(rates, rates[0])


@pytest.mark.parametrize("tail", [0.0, 0.01, 0.03])
def test_sums_with_tails_have_the_radius_of_the_network_they_describe(tail):
    count, own = 6, 3
    hidden = (1 + tail) * np.eye(count) - tail
    readout = explicit.decoupled(np.eye(count), own, "summed logits")
    lower, upper = explicit.radii(readout._replace(hidden=hidden), np.eye(count)[:1], 1)
    want = laws.summed_with_tails(own, count - own, tail, 10**9)
    assert lower[0] * (1 - 1e-6) <= want <= upper[0] * (1 + 1e-6)
    if not tail:
        assert want == pytest.approx((1 + count - own) ** -0.5)


def test_images_say_where_cluster_labels_help_and_hurt(finished):
    data = table(finished, "supervision_digits")
    better = data.copy(deep=True)
    better.median_radius[:] = np.array([1.0, 1.5, 0.8])[None, :, None, None]
    lines = images(better)
    assert len(lines) == 2
    for line in lines:
        assert "by the largest output 1.50 [1.50, 1.50]" in line
        assert "largest output, cluster labels raised the median radius on" in line
        assert "sums of outputs, cluster labels lowered the median" in line
    better.median_radius[:, 1, :, 0] = 0.9
    assert "did not move the median radius one way" in images(better)[0]


def test_the_page_says_slopes_and_what_is_not_settled():
    counts = np.array([2, 8, 32])
    middle = np.stack([counts**-0.5, counts**0.0, counts**-0.25])[:, None]
    ends = np.stack([0.9 * middle, middle], axis=1)
    ends[1, :, 0, -1] = 0.0
    data = xr.Dataset(
        {
            "radius": (("readout", "end", "seed", "clusters"), ends),
            "middle": (("readout", "seed", "clusters"), middle),
        },
        {
            "readout": ["averaged", "max", "sum"],
            "end": ["certified", "upper"],
            "clusters": counts,
        },
    )
    [line] = ratios(data)
    assert "averaged -0.500, max 0.000, sum -0.250" in line.replace("-0.000", "0.000")
    assert "k = 2, 8, 32 there are bounds only" in line
    assert "up to 10 %" in line
    assert "At k = 32 1 of 1 networks" in line


def test_explicit_networks_agree_with_the_library_s_radius():
    centres = jnp.eye(5)
    weights, _ = decoupled_network(centres)
    assert isinstance(weights, Weights)
    found = radius(
        weights,
        np.eye(5)[:1],
        np.ones(1),
        activation=ReLU(),
        effort="exact",
        readout=SummedLogits((1, 1, 1, -1, -1)),
    )
    want = planes(3, 5, 3).radius.sel(readout="sum")
    np.testing.assert_allclose(found.upper[0], want, rtol=1e-5)
