"""What is written and printed of a run of the suite."""

import json

import numpy as np
import pytest
import xarray as xr

from jaxbias import cli, cli_commands
from jaxbias._checks import InputError
from jaxbias.benchmarks import __main__ as alone
from jaxbias.benchmarks import rows as rows_
from jaxbias.benchmarks import suite
from jaxbias.benchmarks.report import tabulate, write_report
from jaxbias.benchmarks.rows import Point, Row
from jaxbias.benchmarks.table import COLUMNS, cells, lines
from jaxbias.plots import _frames

MEASURED = Row(
    "S-p1",
    "diffrax-ours",
    "finished",
    ratio=2.71,
    ratio_low=2.5,
    ratio_high=3.04,
    error=9.3e-4,
    baseline_error=1.1e-3,
    seconds=0.8,
    baseline_seconds=2.2,
    setting="tolerance 1",
    baseline_setting="Bosh3, rtol 0.3, output",
    evaluations=78.0,
    baseline_evaluations=190.0,
    compile_cold=1.5,
    compile_warm=0.24,
    baseline_compile_cold=2.5,
    baseline_compile_warm=0.5,
    peak_megabytes=120.0,
    baseline_peak_megabytes=140.0,
    seeds=8,
    rounds=5,
    reference_error=8e-5,
    rule="a",
    loss_error=0.14,
    baseline_loss_error=0.3,
    reference_loss_error=2e-3,
)
ABSENT = Row("S-p1", "torch", "not run: torch is not installed", rule="a")
POINTS = [
    Point("S-p1", "ours", "tolerance 2", 0.5, 3e-3, 50.0, 0.2),
    Point("S-p1", "diffrax-ours", "Heun, rtol 1, all", 3.0, 5e-3, 200.0, 0.4),
]


def test_the_page_the_data_and_the_figure_are_written(tmp_path):
    drawn = write_report([MEASURED, ABSENT], POINTS, tmp_path)
    folder = tmp_path / "benchmarks"
    rows = json.loads((folder / "bench.json").read_text())
    assert rows == [ABSENT.plain(), MEASURED.plain()]
    page = (folder / "README.md").read_text()
    assert "| 2.71 " in page
    assert "not run: torch is not installed" in page
    assert "error_against_time.png" in page
    assert "looser ones: S-p1 8.0e-05 (loss 0.20%)." in page
    assert drawn
    assert all(path.stat().st_size > 1000 for path in drawn)
    stored = xr.load_dataset(folder / "data" / "error_against_time.nc")
    xr.testing.assert_equal(stored, tabulate([MEASURED, ABSENT], POINTS))
    assert "| 14.0% " in page
    assert stored.attrs["loss_target"] == 0.01


def test_a_page_without_points_has_no_figure(tmp_path):
    assert write_report([ABSENT], [], tmp_path) == []
    assert "png" not in (tmp_path / "benchmarks" / "README.md").read_text()


@pytest.mark.parametrize("points", [POINTS, []])
def test_a_folder_in_the_way_is_told(tmp_path, points):
    (tmp_path / "benchmarks").write_text("a file")
    with pytest.raises(InputError):
        write_report([MEASURED], points, tmp_path)


RADII = Row(
    **{
        **MEASURED.plain(),
        "name": "radius-p1",
        "baseline": "torch-pgd",
        "error": -0.02,
        "evaluations": float("nan"),
        "reference_error": None,
        "rule": None,
        "loss_error": None,
        "baseline_loss_error": None,
    }
)


def _stored(folder):
    rows = json.loads((folder / "bench.json").read_text())
    return [(row["name"], row["baseline"], row["ratio"]) for row in rows]


def test_what_is_not_measured_again_is_kept(tmp_path):
    folder = tmp_path / "benchmarks"
    write_report([MEASURED, ABSENT], POINTS, tmp_path)
    data = (folder / "data" / "error_against_time.nc").read_bytes()
    assert write_report([RADII], [], tmp_path) == []
    first = [("S-p1", "torch", None), ("S-p1", "diffrax-ours", 2.71)]
    assert _stored(folder) == [*first, ("radius-p1", "torch-pgd", 2.71)]
    assert (folder / "data" / "error_against_time.nc").read_bytes() == data
    page = (folder / "README.md").read_text()
    assert "error_against_time.png" in page
    assert "looser ones: S-p1 8.0e-05 (loss 0.20%)." in page
    assert page.index("| S-p1 ") < page.index("| radius-p1 ")
    assert "| - / 190 " in page

    again = Row(**{**MEASURED.plain(), "ratio": 3.5})
    write_report([again], POINTS, tmp_path)
    assert _stored(folder) == [
        ("S-p1", "torch", None),
        ("S-p1", "diffrax-ours", 3.5),
        ("radius-p1", "torch-pgd", 2.71),
    ]


def test_points_of_other_benchmarks_stay_in_the_figure(tmp_path):
    other = Row(**{**MEASURED.plain(), "name": "M-p1", "seconds": 7.0})
    points = [Point("M-p1", "ours", "tolerance 2", 5.0, 3e-3, 50.0, 0.2)]
    path = tmp_path / "benchmarks" / "data" / "error_against_time.nc"
    write_report([other], points, tmp_path)
    alone = xr.load_dataset(path)
    write_report([MEASURED], POINTS, tmp_path)
    both = xr.load_dataset(path)
    assert both.benchmark.values.tolist() == ["S-p1"] * 6 + ["M-p1"] * 4
    xr.testing.assert_equal(both.isel(point=slice(0, 6)), tabulate([MEASURED], POINTS))
    xr.testing.assert_equal(both.isel(point=slice(6, None)), alone)
    assert both.attrs["target"] == 1.2e-3
    write_report([other, MEASURED], [*points, *POINTS], tmp_path)
    xr.testing.assert_equal(xr.load_dataset(path), both)


def test_rows_of_a_benchmark_that_is_no_more_are_dropped(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    old = {**MEASURED.plain(), "name": "XL-p1", "gone": 3}
    short = {"name": "M-p3", "baseline": "torch", "status": "finished", "gone": 3}
    text = json.dumps([old, short])
    (tmp_path / "benchmarks" / "bench.json").write_text(text)
    write_report([MEASURED], [], tmp_path)
    names = [name for name, *_ in _stored(tmp_path / "benchmarks")]
    assert names == ["S-p1", "M-p3"]
    rows = json.loads((tmp_path / "benchmarks" / "bench.json").read_text())
    assert [row["rule"] for row in rows] == ["a", "a"], "there was one rule then"


@pytest.mark.parametrize("text", ["[{", "[3]", '[{"name": "S-p1"}]'])
def test_earlier_results_that_cannot_be_read_are_not_overwritten(tmp_path, text):
    path = tmp_path / "benchmarks" / "bench.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InputError, match="would be lost"):
        write_report([MEASURED], [], tmp_path)
    assert path.read_text() == text


def test_only_rows_under_a_rule_have_a_panel_and_show_its_error():
    second = Row(**{**MEASURED.plain(), "rule": "b", "seconds": 1.5})
    table = tabulate([MEASURED, second, RADII], POINTS)
    assert set(table.benchmark.values.tolist()) == {"S-p1"}
    compared = table.compared.values == 1
    assert table.rule.values[compared].tolist() == ["a", "a", "b", "b"]
    assert table.error.values[compared].tolist() == [9.3e-4, 1.1e-3, 0.14, 0.3]
    assert table.error.values[~compared].tolist() == [3e-3, 5e-3, 0.2, 0.4]


def test_ours_is_one_point_however_many_it_is_compared_with():
    other = Row(**{**MEASURED.plain(), "baseline": "diffrax-best"})
    table = tabulate([MEASURED, other, ABSENT], POINTS)
    compared = table.method.values[table.compared.values == 1]
    np.testing.assert_array_equal(compared, ["ours", "diffrax-ours", "diffrax-best"])
    assert table.attrs["target"] == 1.2e-3


def test_the_figure_has_a_panel_for_each_rule():
    second = Row(**{**MEASURED.plain(), "rule": "b"})
    marks = _frames.error_against_time(tabulate([MEASURED, second], POINTS))
    guides = {mark.panel: mark.y[0] for mark in marks if mark.role == "guide"}
    assert guides == {"S-p1": 1.2e-3, "S-p1, loss": 0.01}


def test_a_table_lines_up_and_leaves_empty_what_was_not_measured():
    text = lines([MEASURED.plain(), ABSENT.plain()])
    assert len({len(line) for line in text}) == 1
    assert len(text) == 4
    row = dict(zip(COLUMNS, cells(MEASURED.plain()), strict=True))
    assert row["spread"] == "2.5 .. 3.04"
    assert row["compile cold/warm"] == "1.50 / 0.24 s"
    assert row["evaluations"] == "78 / 190"
    assert (row["rule"], row["loss error"], row["baseline loss error"]) == (
        "a",
        "14.0%",
        "30.0%",
    )
    assert cells(ABSENT.plain())[3:-1] == [""] * (len(COLUMNS) - 4)


@pytest.fixture
def found(monkeypatch):
    """What the suite is made to find."""
    rows = [MEASURED, ABSENT]
    told = []

    def bench(names, *, baselines, rounds, curves=False, progress, keep):
        told.append((tuple(names), tuple(baselines), rounds))
        progress(0, 1, "S-p1: round 1 of 1")
        keep(list(rows), list(POINTS))
        return list(rows), list(POINTS)

    monkeypatch.setattr(suite, "bench", bench)
    return rows, told


@pytest.mark.parametrize(("status", "code"), [("finished", 0), (rows_.ABOVE, 0)])
def test_the_command_prints_and_writes(found, status, code, tmp_path, capsys):
    rows, told = found
    rows[0] = Row(**{**MEASURED.plain(), "status": status})
    words = ["bench", "S-p1", "--baseline", "torch", "--rounds", "2"]
    assert cli.main([*words, "--out", str(tmp_path)]) == code
    said = capsys.readouterr()
    assert told == [(("S-p1",), ("torch",), 2)]
    assert "2.71" in said.out
    assert str(tmp_path / "benchmarks" / "error_against_time.png") in said.out
    assert "round 1 of 1" in said.err


def test_an_error_of_ours_above_the_target_is_a_failure(found, tmp_path, capsys):
    rows, _ = found
    rows[0] = Row(**{**MEASURED.plain(), "status": rows_.OURS_ABOVE})
    assert cli.main(["bench", "S-p1", "--json", "--out", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out)[0]["status"] == rows_.OURS_ABOVE
    assert alone.main(["S-p1", "--json"]) == 1


def test_what_was_measured_before_an_interruption_is_kept(
    found, monkeypatch, tmp_path, capsys
):
    real = suite.bench

    def interrupted(names, **options):
        real(names, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "bench", interrupted)
    assert cli.main(["bench", "S-p1", "S-p3", "--out", str(tmp_path)]) == 130
    assert json.loads((tmp_path / "benchmarks" / "bench.json").read_text())
    capsys.readouterr()
    assert alone.main(["S-p1", "S-p3", "--json"]) == 130
    assert json.loads(capsys.readouterr().out) == [MEASURED.plain(), ABSENT.plain()]


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        (["S-p2"], "S-p1"),
        (["--baseline", "pytorch"], "torch"),
        (["--rounds", "0"], "rounds=1"),
    ],
)
def test_alone_it_refuses_as_the_command_does(words, helps, capsys):
    assert alone.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("jaxbias: ")
    assert said.count("\n") == 1
    assert helps in said


def test_the_command_refuses_a_missing_library(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(suite.importlib.util, "find_spec", lambda name: None)
    words = ["bench", "S-p1", "--baseline", "torch", "--out", str(tmp_path)]
    assert cli.main(words) == 2
    assert "pip install 'jaxbias[bench]'" in capsys.readouterr().err


def test_alone_it_prints_the_table(found, capsys):
    assert alone.main(["S-p1"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("| benchmark ")
    assert "S-p1: round 1 of 1" in said.err


def test_the_command_is_the_table_of_the_suite():
    assert cli_commands.index()["benchmarks"] == [
        {"name": name, "description": text} for name, text in suite.BENCHMARKS.items()
    ]
