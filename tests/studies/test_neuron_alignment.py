"""The whole study at toy sizes, and its pieces against what is known."""

import json
import types
from dataclasses import replace

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.results import open as open_results
from jaxbias.studies import STUDIES, neuron_alignment
from jaxbias.studies._gallery import Gallery
from jaxbias.studies._report import Folder
from jaxbias.studies._section_tables import ideal_radii, late_floor

TOY = replace(
    neuron_alignment.QUICK,
    clusters=OrthonormalClusters(40, 4, 2, 0.1),
    samples=40,
    width=24,
    scale=1e-4,
    time=400.0,
    noises=(0.05, 0.1),
    compared=("coreset", "sgd"),
    compared_noises=(0.1,),
    coreset=20,
    batch=10,
    seeds=1,
    points=8,
    pgd_steps=5,
    small=OrthonormalClusters(20, 3, 2, 0.1),
    small_samples=12,
    widths=(8, 12),
    width_noises=(0.1,),
    width_seeds=2,
    scales=(1e-3, 1e-5),
    scale_seeds=1,
    exponents=(3.0,),
    digit_exponents=(2.0,),
    digit_seeds=1,
    digit_width=12,
    epochs=3,
    digit_points=6,
    gallery=Gallery(
        models=OrthonormalClusters(20, 3, 2, 0.1),
        model_samples=60,
        model_width=8,
        model_epochs=2,
        model_batch=30,
        model_seeds=1,
        model_points=9,
        aligned=OrthonormalClusters(20, 4, 2, 0.1),
        aligned_samples=20,
        aligned_width=10,
        aligned_steps=100,
        aligned_seeds=1,
        plane_steps=180,
        separable_steps=100,
        plane_seeds=1,
    ),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "neuron_alignment"
    calls = []
    row = {"claim": "a/b", "verdict": "holds", "expected": "holds"}
    verdict = types.SimpleNamespace(row=lambda: row)
    with pytest.MonkeyPatch.context() as patch:
        # The claims have tests of their own; here only their rows are needed.
        patch.setattr(neuron_alignment, "verify", lambda *_, **__: [verdict])
        report = neuron_alignment.run_settings(
            TOY, "quick", path, lambda *call: calls.append(call)
        )
    return report, path, calls


def test_a_run_leaves_every_figure_with_its_data(finished):
    report, path, _ = finished
    assert report.failed == 0
    # MNIST is not of size quick, since its files may be missing.
    names = set(STUDIES["neuron_alignment"].figures) - {"mnist", "mnist_cosines"}
    assert {p.stem for p in report.figures} == names
    for name in names:
        for file in (f"{name}.pdf", f"{name}.png", f"data/{name}.nc"):
            assert (path / file).stat().st_size > 0
    assert json.loads((path / "verdicts.json").read_text()) == report.rows
    page = (path / "README.md").read_text()
    assert all(f"![{name}]({name}.png)" in page for name in names)
    assert "| a/b | holds | holds |" in page


def test_progress_counts_within_its_total(finished):
    _, _, calls = finished
    assert len(calls) > 10
    assert all(0 <= done <= total for done, total, _ in calls)


def test_no_number_behind_a_figure_is_missing(finished):
    _, path, _ = finished
    for name, variables in {
        "contributions": ("contribution",),
        "widths": ("radius_lower", "radius_upper", "amplitude"),
        "scales": ("difference", "rounding", "floor"),
        "digits": ("accuracy", "stable_rank", "robust_accuracy"),
    }.items():
        data = open_results(path / "data" / f"{name}.nc")
        for variable in variables:
            assert np.isfinite(data[variable]).all(), (name, variable)


def test_every_method_has_its_numbers_where_it_was_run(finished):
    _, path, _ = finished
    data = open_results(path / "data" / "distance.nc")
    assert data.training.values.tolist() == ["flow", "coreset", "sgd"]
    assert np.isfinite(data.distance.sel(training="flow")).all()
    for training in ("coreset", "sgd"):
        part = data.distance.sel(training=training)
        assert np.isfinite(part.sel(noise=0.1)).all()
        assert part.sel(noise=0.05).isnull().all()
    gap = data.coreset_gap.sel(noise=0.1)
    assert 0 < float(gap.sel(training="coreset").max()) < 0.3
    assert gap.sel(training=["flow", "sgd"]).isnull().all()


def test_certified_never_exceeds_the_upper_bound(finished):
    _, path, _ = finished
    accuracy = open_results(path / "data" / "robust_accuracy.nc").accuracy
    gap = accuracy.sel(curve="upper") - accuracy.sel(curve="certified")
    assert (gap >= 0).all()
    assert set(accuracy.training.values) == {"flow", "coreset", "sgd"}
    assert float(accuracy.isel(radius=0).min()) == 1.0
    digits = open_results(path / "data" / "digits.nc")
    assert (digits.robust_accuracy >= digits.certified_accuracy).all()


def test_a_second_start_says_what_it_found(tmp_path):
    settings = replace(TOY, noises=(0.1,), compared=(), seeds=2)
    quiet = lambda *_: None

    def start():
        folder = Folder(tmp_path, settings, range(2), keep=True)
        return neuron_alignment.section_5_1(settings, folder, quiet)

    assert not any("earlier start" in line for line in start())
    assert start()[-1].startswith("2 of the 2 networks")
    accuracy = open_results(tmp_path / "data" / "robust_accuracy.nc").accuracy
    assert np.isfinite(accuracy.sel(curve=["upper", "certified"])).all()
    # The paper's attack, which costs a thousand times the others, has one seed.
    attacked = np.isfinite(accuracy.sel(curve="paper")).any(("radius", "exponent"))
    assert attacked.squeeze().values.tolist() == [True, False]


def test_a_missing_data_set_is_found_out_before_anything_is_trained(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("JAXBIAS_DATA", str(tmp_path / "nowhere"))
    settings = replace(TOY, gallery=replace(TOY.gallery, mnist_tasks=("parity",)))
    called = []
    with pytest.raises(InputError, match="nowhere"):
        neuron_alignment.run_settings(
            settings, "paper", tmp_path, lambda *call: called.append(call)
        )
    assert not called


def test_late_floor_is_the_printed_one():
    # K1 = 6, K2 = 4 at the end of the paper's training: 401 epochs of 200 steps of 0.2.
    clusters = OrthonormalClusters(1000, 10, 6, 0.01)
    assert late_floor(clusters, 0.2 * 401 * 200 / 10) == pytest.approx(0.0314, abs=2e-4)
    even = OrthonormalClusters(1000, 10, 5, 0.01)
    assert late_floor(even, 1000.0) < 1e-12


def test_radii_of_the_ideals():
    clusters = OrthonormalClusters(20, 10, 6, 0.1)
    radii = ideal_radii(clusters, (1.0, 3.0))
    assert radii["ideal_radius_1"] == pytest.approx(10**-0.5)
    assert radii["ideal_radius_3"] == pytest.approx(0.5**0.5)
