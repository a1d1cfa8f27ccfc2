"""The whole study at toy sizes, and its pieces against what is known."""

import json
import types
from dataclasses import replace

import numpy as np
import pytest

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.results import open as open_results
from jaxbias.studies import STUDIES, neuron_alignment
from jaxbias.studies._trained import (
    amplitudes,
    cosines,
    ideal,
    ideal_radii,
    late_floor,
    train,
)

TOY = replace(
    neuron_alignment.QUICK,
    clusters=OrthonormalClusters(40, 4, 2, 0.1),
    samples=40,
    width=24,
    scale=1e-4,
    time=400.0,
    noises=(0.05, 0.1),
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
    names = set(STUDIES["neuron_alignment"].figures)
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
        "distance": ("distance", "scale"),
        "contributions": ("contribution",),
        "widths": ("radius_lower", "radius_upper", "amplitude"),
        "scales": ("difference", "rounding", "floor"),
        "digits": ("accuracy", "stable_rank", "robust_accuracy"),
    }.items():
        data = open_results(path / "data" / f"{name}.nc")
        for variable in variables:
            assert np.isfinite(data[variable]).all(), (name, variable)


def test_certified_never_exceeds_the_upper_bound(finished):
    _, path, _ = finished
    accuracy = open_results(path / "data" / "robust_accuracy.nc").accuracy
    gap = accuracy.sel(curve="upper") - accuracy.sel(curve="certified")
    assert (gap >= 0).all()
    assert float(accuracy.isel(radius=0).min()) == 1.0
    digits = open_results(path / "data" / "digits.nc")
    assert (digits.robust_accuracy >= digits.certified_accuracy).all()


def test_trained_neurons_align_as_the_exponent_says():
    clusters = OrthonormalClusters(60, 4, 2, 0.05)
    settings = replace(TOY, clusters=clusters, samples=80, width=40)
    flows = {p: neuron_alignment.flow(settings, p) for p in (1.0, 3.0)}
    trained = train(flows, (0.05,), (0,), 400.0, 1e-2, "test", lambda _: None)
    assert trained.failed == 0
    table = cosines(trained, clusters, 0.05, 1e-2)
    largest = table.cosine.max("cluster")
    averaged = largest.sel(exponent=1.0).dropna("neuron")
    single = largest.sel(exponent=3.0).dropna("neuron")
    np.testing.assert_allclose(averaged, np.sqrt(0.5), atol=0.03)
    assert float(single.min()) > 0.99
    size = np.abs(amplitudes(trained.networks[3.0, 0.05, 0]))
    shown = int(np.isfinite(table.amplitude.sel(exponent=3.0)).sum())
    assert shown == (size > 1e-2 * size.max()).sum() > 3


def test_late_floor_is_the_printed_one():
    # K1 = 6, K2 = 4 at the end of the paper's training: 401 epochs of 200 steps of 0.2.
    clusters = OrthonormalClusters(1000, 10, 6, 0.01)
    assert late_floor(clusters, 0.2 * 401 * 200 / 10) == pytest.approx(0.0314, abs=2e-4)
    even = OrthonormalClusters(1000, 10, 5, 0.01)
    assert late_floor(even, 1000.0) < 1e-12


def test_ideals_and_their_radii():
    clusters = OrthonormalClusters(20, 10, 6, 0.1)
    assert ideal(clusters, 1.0)[0].hidden.shape == (2, 20)
    assert ideal(clusters, 3.0)[0].hidden.shape == (10, 20)
    radii = ideal_radii(clusters, (1.0, 3.0))
    assert radii["ideal_radius_1"] == pytest.approx(10**-0.5)
    assert radii["ideal_radius_3"] == pytest.approx(0.5**0.5)
