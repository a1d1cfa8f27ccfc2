"""Studies by name, and the page and files that one leaves behind."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from jaxbias import studies
from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.plots import KINDS, draw
from jaxbias.results import open as open_results
from jaxbias.results import spec_hash
from jaxbias.studies import neuron_alignment
from jaxbias.studies._report import Folder, verdict_table
from jaxbias.studies._supervised import DATA

ROW = {
    "claim": "min-vidal-2024/some-claim",
    "verdict": "holds",
    "expected": "holds",
    "measured": [0.31, 0.33],
    "predicted": 0.3162,
    "seeds": 16,
}


def test_unknown_names_are_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="neuron_alignment"):
        studies.run("neuron_alignmnt", out=tmp_path)
    with pytest.raises(InputError, match="quick"):
        studies.run("neuron_alignment", size="quik", out=tmp_path)
    with pytest.raises(InputError, match="neuron_alignment"):
        studies.sweep_flow("nothing")
    assert list(tmp_path.iterdir()) == []


def test_every_figure_of_a_study_is_a_kind_that_can_be_drawn():
    for study in studies.STUDIES.values():
        for figure in study.figures:
            # A figure of real images is named by its kind and by the data set.
            words = [word for word in figure.split("_") if word not in DATA]
            assert figure in KINDS or "_".join(words) in KINDS


def test_sweep_flow_is_a_flow_whose_axes_can_be_swept():
    for name in studies.STUDIES:
        assert isinstance(studies.sweep_flow(name), GradientFlow)
    flow = studies.sweep_flow("neuron_alignment")
    assert hasattr(flow.network.activation, "exponent")


@pytest.mark.parametrize("size", studies.SIZES)
def test_settings_of_every_size_hash_and_compare_like_with_like(size):
    settings = neuron_alignment.SIZES[size]
    assert len(spec_hash(settings)) == 16
    assert settings.clusters.noise in settings.noises
    assert set(settings.compared_noises) <= set(settings.noises)
    assert settings.compared_seeds <= settings.seeds
    assert settings.coreset < settings.samples
    assert settings.coreset % settings.clusters.clusters == 0
    runs = neuron_alignment.section_runs(settings)
    assert len(set(runs)) == len(runs)
    if size == "paper":
        assert sum(run.training == "coreset" for run in runs) == 150
        assert sum(run.training == "sgd" for run in runs) == 6


def test_verdict_table_shows_ranges_and_gaps():
    lines = verdict_table([ROW, {**ROW, "measured": None, "predicted": {"upper": 0.5}}])
    assert lines[2].count("|") == 7
    assert "0.31 .. 0.33 | 0.3162 | 16" in lines[2]
    assert "| - | upper 0.5 |" in lines[3]


def test_folder_writes_what_its_page_names(tmp_path):
    settings = replace(neuron_alignment.QUICK, seeds=2)
    folder = Folder(tmp_path / "one", settings, range(2))
    values = np.geomspace(1, 1e-6, 40).reshape(2, 1, 1, 20)
    table = xr.Dataset(
        {"contribution": (("exponent", "training", "seed", "neuron"), values)},
        {"exponent": [1.0, 3.0], "training": ["flow"]},
        {"dominant": 1e-3},
    )
    folder.figure("contributions", table, failed=1)
    folder.verdicts([ROW])
    folder.readme("One", [ROW], {"contributions": "Sorted.", "widths": "-"}, [], ["D"])
    kept = open_results(tmp_path / "one" / "data" / "contributions.nc")
    assert kept.attrs["plot"] == "contributions"
    assert kept.attrs["spec_hash"] == spec_hash(settings)
    assert {"commit", "jax", "precision", "wall_seconds"} <= kept.attrs.keys()
    assert json.loads((tmp_path / "one" / "verdicts.json").read_text()) == [ROW]
    page = (tmp_path / "one" / "README.md").read_text()
    assert "![contributions](contributions.png)" in page
    assert "widths" not in page, "a figure that was not drawn is not shown"
    assert "1 run did not finish" in page
    assert spec_hash(settings) in page
    assert folder.failed == 1
    before = (tmp_path / "one" / "contributions.png").read_bytes()
    _, png = draw(tmp_path / "one" / "data" / "contributions.nc", tmp_path)
    assert png.read_bytes() == before


def test_quick_settings_are_those_of_the_issue():
    quick = neuron_alignment.QUICK
    assert quick.clusters == OrthonormalClusters(500, 10, 6, 0.1)
    assert quick.exponents == (1.0, 3.0)
    assert set(quick.digit_exponents) == {1.0, 2.0, 3.0, 4.0}
    assert {1e-3, 1e-7, 1e-15} <= set(quick.scales)
