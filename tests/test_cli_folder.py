"""What the command says of a sweep's folder: status, plot, export."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from jaxbias import cli, cli_folder, cli_status, results
from jaxbias._checks import InputError
from jaxbias.results import store

ROOT = str(pathlib.Path(__file__).parents[1])
FLAGS = {"flag_values": [0, 1], "flag_meanings": "finished max_steps"}


def batch(seeds, statuses=None):
    """Widths 8 and 32, exponents 1 and 3; loss = exponent / width + seed."""
    width, exponent, seed = (
        axis.ravel() for axis in np.meshgrid([8, 32], [1.0, 3.0], seeds, indexing="ij")
    )
    runs = np.arange(len(seed))
    loss = (exponent / width + seed)[:, None] * np.array([1.0, 2.0])
    status = np.zeros(len(seed), np.int32)
    status[list(statuses or ())] = 1
    return xr.Dataset(
        {
            "loss": (("run", "time"), loss, {"description": "loss", "units": "1"}),
            "radius_lower": (("run", "cluster"), loss + 1),
            "status": ("run", status, FLAGS),
        },
        {
            "run": runs + 100 * min(seeds),
            "seed": ("run", seed),
            "width": ("run", width),
            "exponent": ("run", exponent),
            "time": [1.0, 10.0],
        },
        {"axes": '["width", "exponent"]', "wall_seconds": 30.0},
    )


@pytest.fixture
def folder(tmp_path):
    """Two of three batches of a sweep, in one of which two runs did not finish."""
    over = {"dict": [[p, {"tuple": v}] for p, v in (("e", [1, 3]), ("w", [8, 32]))]}
    seeds = {"dict": [["first", 0], ["count", 6]]}
    part = {"dict": [["over", over], ["seeds", seeds]]}
    files = ["a.nc", "b.nc", "c.nc"]
    folder = tmp_path / "runs"
    folder.mkdir()
    store.write_manifest(folder, {"files": files, "parts": [part]})
    store.write(batch([0, 1]), folder / "a.nc")
    store.write(batch([2, 3], statuses=(0, 1)), folder / "b.nc")
    return folder


def words(folder, *more):
    return [str(word) for word in (*more[:1], folder, *more[1:])]


# --- status --------------------------------------------------------------------------


def test_status_in_words(folder, capsys):
    assert cli.main(words(folder, "status")) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == [
        "2 of 3 batches are written",
        "16 of 24 runs are written: 14 finished, 2 max_steps",
        "4 of 6 seeds are complete at every point",
        "no process is at work there; it has stopped",
    ]
    assert (
        told[4].startswith("the last file was written 0 s ago, 2") or "1 s" in told[4]
    )
    assert told[5].startswith("60 s of computing, 0.")
    assert len(told) == 6


def test_status_in_json(folder, capsys):
    assert cli.main(words(folder, "status", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == results.headway(folder)
    assert (found["runs_planned"], found["seeds_complete"]) == (24, 4)


def found(**more):
    return {
        "batches": 10,
        "batches_written": 4,
        "batches_missing": 6,
        "batches_at_work": 0,
        "runs_planned": 100,
        "runs_written": 40,
        "statuses": {"sliding": 3, "finished": 37},
        "inaccurate": 2,
        "seeds_planned": 25,
        "seeds_complete": 10,
        "at_work": False,
        "last_written": "2001-09-09T01:46:40Z",
        "runs_per_second": 0.05,
        "seconds_left": 1200.0,
        "wall_seconds": 7300.0,
        "bytes": 12_345_678,
        **more,
    }


def test_a_running_sweep():
    told = cli_status.lines(found(at_work=True, batches_at_work=2), 1_000_000_090.0)
    assert told == [
        "4 of 10 batches are written, 2 in work",
        "40 of 100 runs are written: 37 finished (2 of them inaccurate), 3 sliding",
        "10 of 25 seeds are complete at every point",
        "a process is at work there",
        "the last file was written 90 s ago, 2001-09-09T01:46:40Z",
        "about 3.0 runs a minute; about 20.0 min left",
        "2.0 h of computing, 12.3 MB on disk",
    ]


def test_what_cannot_be_told_is_left_out():
    told = cli_status.lines(
        found(
            runs_planned=None,
            seeds_planned=None,
            seeds_complete=None,
            at_work=None,
            batches_at_work=None,
            last_written=None,
            runs_per_second=None,
            seconds_left=None,
            statuses={},
            runs_written=0,
        ),
        0.0,
    )
    assert told == [
        "4 of 10 batches are written",
        "0 runs are written",
        "whether a process is at work there cannot be told on this file system",
        "2.0 h of computing, 12.3 MB on disk",
    ]


def test_a_stopped_and_a_complete_sweep():
    told = cli_status.lines(found(), 1e9)
    assert "about 3.0 runs a minute; about 20.0 min left, once it goes on" in told
    told = cli_status.lines(found(batches_missing=0, seconds_left=0.0), 1e9)
    assert "no process is at work there; the sweep is complete" in told
    assert not any("left" in line for line in told)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (119.0, "119 s"),
        (120.0, "2.0 min"),
        (7200.0, "2.0 h"),
        (1e6, "11.6 days"),
    ],
)
def test_durations(seconds, words):
    assert cli_status.duration(seconds) == words


# --- plot ----------------------------------------------------------------------------


def test_a_plot_says_what_it_chose(folder, capsys):
    assert cli.main(words(folder, "plot")) == 0
    told = capsys.readouterr().out.splitlines()
    files = [str(folder / f"loss-width-exponent.{end}") for end in ("pdf", "png")]
    assert told == [
        "drawn with --x width --y loss --hue exponent",
        "at time 10; 2 to 4 seeds; runs left out: 2 unfinished",
        *files,
    ]
    assert all(pathlib.Path(file).stat().st_size > 5_000 for file in files)
    # A figure in the folder changes nothing of what it holds.
    assert results.open(folder).sizes["run"] == 16


def test_a_plot_of_what_was_asked(folder, capsys):
    out = folder.parent / "new" / "a.svg"
    asked = ["--y", "radius_lower", "--reduce", "min", "--x", "exponent"]
    asked += ["--where", "width=32", "--out", out]
    assert cli.main(words(folder, "plot", *asked)) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "drawn with --x exponent --y radius_lower --where width=32"
    assert told[1] == "width = 32; 4 seeds; runs left out: none"
    assert told[2:] == [str(out)]
    assert out.read_bytes().startswith(b"<?xml")


def test_a_plot_of_one_file_over_time(folder, capsys):
    path = folder / "a.nc"
    assert cli.main(["plot", str(path), "--x", "time"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "drawn with --x time --y loss --hue width --where exponent=1"
    assert pathlib.Path(told[2]) == folder / "loss-time-width.pdf"


@pytest.mark.parametrize(
    ("asked", "helps"),
    [
        ("plot {folder} --x widht", "Try x='width'"),
        ("plot {folder} --y los", "Try y='loss'"),
        ("plot {folder} --hue exponnt", "Try hue='exponent'"),
        ("plot {folder} --y radius_lower", "--reduce min"),
        ("plot {folder} --reduce mean", "'median'"),
        ("plot {folder} --where width", "--where exponent=3"),
        ("plot {folder} --where widht=8", "where='width'"),
        ("plot {folder} --where width=9", "'8', '32'"),
        ("plot {folder} --at 3", "the nearest one"),
        ("plot {folder} --out {folder}/a.gif", "ending='.pdf'"),
        ("plot {folder} --out {folder}/a.nc/b.png", "a file in a folder of your own"),
        ("export {folder}", "--out"),
        ("export {folder} --out {folder}/a.xlsx", "ending='.csv'"),
        ("export {folder} --out {folder}/a.csv", "--variable NAME"),
        ("export {folder} --out {folder}/a.csv --variable los", "variables='loss'"),
        ("{command} {folder}/nowhere", ""),
        ("{command} {empty}", ""),
        ("{command} {broken}", "batch"),
        ("{command} {planless}", "sweep.json"),
    ],
)
@pytest.mark.parametrize("command", ["status", "plot", "export"])
def test_what_cannot_work_gets_one_line(asked, helps, command, folder, capsys):
    if "{command}" not in asked and not asked.startswith(command):
        return
    empty, broken, planless = (folder.parent / name for name in "abc")
    for made in (empty, broken, planless):
        made.mkdir()
    store.write_manifest(broken, {"files": ["batch-0.nc"]})
    (broken / "batch-0.nc").write_bytes(b"half a file")
    (planless / "sweep.json").write_text('{"files": 3')
    places = {"empty": empty, "broken": broken, "planless": planless}
    line = asked.format(command=command, folder=folder, **places)
    if "{command}" in asked and command == "export":
        line += f" --out {folder}/a.csv"
    assert cli.main(line.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("jaxbias: ")
    assert said.err.count("\n") == 1
    assert "Try " in said.err
    assert helps in said.err


def test_held_axes_are_numbers_or_words():
    held = cli_folder.parse_where(["exponent=3", "loss=squared", "scale=1e-7"])
    assert held == {"exponent": 3.0, "loss": "squared", "scale": 1e-7}
    for word in ("exponent", "=3", "exponent="):
        with pytest.raises(InputError, match="--where exponent=3"):
            cli_folder.parse_where([word])


# --- export --------------------------------------------------------------------------


def test_an_export_is_a_table_of_runs(folder, capsys):
    out = folder.parent / "a.csv"
    assert cli.main(words(folder, "export", "--variable", "loss", "--out", out)) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    assert {row["status"] for row in rows} == {"finished", "max_steps"}
    table = results.open(folder)
    np.testing.assert_array_equal(
        [float(row["loss"]) for row in rows], table.loss.values.ravel()
    )


# --- all of them ---------------------------------------------------------------------


def test_none_of_them_loads_jax(folder):
    code = (
        "import sys; from jaxbias.cli import main\n"
        "folder = sys.argv[1]\n"
        "assert main(['status', folder, '--json']) == 0\n"
        "assert main(['plot', folder]) == 0\n"
        "assert main(['export', folder, '--variable', 'loss', '--out', "
        "folder + '/a.csv']) == 0\n"
        "assert 'jax' not in sys.modules, 'jax was loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
