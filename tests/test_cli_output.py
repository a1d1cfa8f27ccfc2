"""Words, tables and exit statuses of the command, without computing anything."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr

from jaxbias import cli, cli_commands, cli_output, cli_stored
from jaxbias._checks import AccuracyWarning, InputError
from jaxbias.cli_arguments import COMMANDS, List, Status, Verify, parse
from jaxbias.results import store

CLAIM = "min-vidal-2024/radius-at-centre-averaged"


def row(**more):
    return {"claim": CLAIM, "verdict": "holds", "expected": "holds", **more}


# --- exit statuses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "status", "said"),
    [
        (lambda: 0, 0, ""),
        (lambda: 1, 1, ""),
        (lambda: _throw(InputError("a", "b", "c")), 2, "jaxbias: a: b. Try c.\n"),
        (lambda: _throw(InputError("two\nlines", "b", "c")), 2, "two lines"),
        (lambda: _throw(ValueError("a bug")), 3, "ValueError: a bug"),
        (lambda: _throw(KeyError("x")), 3, "Traceback"),
        (lambda: _throw(KeyboardInterrupt()), 130, "what was finished is kept"),
        (lambda: _throw(SystemExit(4)), 4, ""),
        (lambda: _throw(SystemExit()), 0, ""),
    ],
)
def test_how_a_command_ends_is_its_status(ends, status, said, monkeypatch, capsys):
    monkeypatch.setattr(cli_commands, "run", lambda command: ends())
    assert cli.main(["list"]) == status
    heard = capsys.readouterr()
    assert heard.out == ""
    assert said in heard.err
    assert (heard.err == "") == (said == "")


def _throw(error):
    raise error


@pytest.mark.parametrize(
    "words", [["--help"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_is_asked_for_and_ends_well(words, capsys):
    assert cli.main(words) == 0
    assert "usage: jaxbias" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([row()], 0),
        ([row(as_expected=True, teeth=True)], 0),
        ([row(), row(verdict="inconclusive")], 1),
        ([row(expected="violated")], 1),
        ([row(as_expected=False, teeth=False)], 1),
        ([row(verdict="violated", expected="violated")], 0),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_stored_verdicts_decide_the_status(rows, status, as_json, tmp_path, capsys):
    (tmp_path / "verdicts.json").write_text(json.dumps(rows))
    words = ["verify", "--from", str(tmp_path)] + ["--json"] * as_json
    assert cli.main(words) == status
    said = capsys.readouterr()
    assert said.err == ""
    if as_json:
        assert json.loads(said.out) == rows
    else:
        good = sum(r.get("as_expected", r["verdict"] == r["expected"]) for r in rows)
        assert f"{good} of {len(rows)} verdicts as expected." in said.out


def test_stored_verdicts_never_compute(tmp_path, monkeypatch):
    (tmp_path / "verdicts.json").write_text(json.dumps([row()]))
    monkeypatch.setattr(cli_commands, "start_jax", lambda: _throw(AssertionError))
    assert cli.main(["verify", "--from", str(tmp_path)]) == 0


@pytest.mark.parametrize("order", [1, -1])
def test_teeth_need_fresh_evidence(order, tmp_path, capsys):
    (tmp_path / "verdicts.json").write_text(json.dumps([row()]))
    options = [["--teeth"], ["--from", str(tmp_path)]][::order]
    assert cli.main(["verify", *sum(options, [])]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "fresh evidence. Try jaxbias verify --teeth.\n" in said.err


def test_verdicts_of_all_studies_in_a_folder_are_read(tmp_path):
    for name in ("b_study", "a_study"):
        (tmp_path / name).mkdir()
        text = json.dumps([row(claim=f"{name}/one")])
        (tmp_path / name / "verdicts.json").write_text(text)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "verdicts.json").write_text("[]")
    found = cli_stored.stored_verdicts(tmp_path)
    assert [r["claim"] for r in found] == ["a_study/one", "b_study/one"]


def test_stored_verdicts_are_filtered_by_claim(tmp_path, capsys):
    other = "jaxbias/ratio-law"
    text = json.dumps([row(), row(claim=other, verdict="violated")])
    (tmp_path / "verdicts.json").write_text(text)
    words = ["--from", str(tmp_path), "--json"]
    assert cli.main(["verify", CLAIM, *words]) == 0
    assert [r["claim"] for r in json.loads(capsys.readouterr().out)] == [CLAIM]
    assert cli.main(["verify", other, *words]) == 1
    assert cli.main(["verify", "jaxbias", *words]) == 1
    assert cli.main(["verify", "neuron_alignment", *words]) == 1


@pytest.mark.parametrize(
    ("verdict", "status"), [("holds", 0), ("inconclusive", 1), ("violated", 1)]
)
def test_fresh_verdicts_decide_the_status(verdict, status, monkeypatch, capsys):
    from jaxbias import verification

    class Found:
        def row(self):
            return row(verdict=verdict, measured=np.float64("nan"))

    asked = []
    found = lambda targets, **options: asked.append((targets, options)) or [Found()]
    monkeypatch.setattr(verification, "verify", found)
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    assert cli.main(["verify", CLAIM, "--size", "paper", "--json"]) == status
    assert json.loads(capsys.readouterr().out) == [row(verdict=verdict, measured=None)]
    [(targets, options)] = asked
    assert (targets, options["size"], options["teeth"]) == ([CLAIM], "paper", False)
    assert options["seeds"] is None


def test_a_warning_of_a_sweep_is_one_line_too(monkeypatch, capsys, tmp_path):
    from jaxbias import sweeps

    def warned(*_, **__):
        warnings.warn("2 runs are off\nby 3 %", AccuracyWarning, stacklevel=1)
        raise InputError("a", "b", "c")

    monkeypatch.setattr(sweeps, "sweep", warned)
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["sweep", "neuron_alignment", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == "jaxbias: warning: 2 runs are off by 3 %\njaxbias: a: b. Try c.\n"


def test_a_warning_is_one_line_on_standard_error(monkeypatch, capsys):
    from jaxbias import verification

    def warned(targets, *, seeds, **_):
        warnings.warn(f"seeds={seeds} has no\neffect on some", stacklevel=1)
        return []

    monkeypatch.setattr(verification, "verify", warned)
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        assert cli.main(["verify", "jaxbias", "--seeds", "3", "--json"]) == 0
        assert warnings.showwarning is before
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "jaxbias: warning: seeds=3 has no effect on some\n" in said.err
    assert "UserWarning" not in said.err


# --- how far a sweep is --------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Two of three batches written; the second has an unfinished run."""
    store.write_manifest(tmp_path, {"files": ["a.nc", "b.nc", "c.nc"]})
    for name, statuses in (("a.nc", [0, 0, 0]), ("b.nc", [0, 3])):
        table = xr.Dataset({"status": ("run", np.array(statuses, np.int32))})
        store.write(table.assign_attrs(wall_seconds=2.0), tmp_path / name)
    return tmp_path


def test_status_prints_one_json_document(folder, capsys):
    assert cli.main(["status", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    counts = ("batches", "batches_written", "runs_written", "runs_unfinished")
    assert [found[name] for name in counts] == [3, 2, 5, 1]
    assert found["statuses"] == {"finished": 4, "status 3": 1}
    assert (found["runs_planned"], found["seconds_left"]) == (None, None)
    assert found["wall_seconds"] == 4.0


def test_files_that_the_manifest_does_not_name_are_not_counted(folder):
    from jaxbias.results.headway import headway

    before = headway(folder)
    (folder / "d.nc").write_bytes((folder / "a.nc").read_bytes())
    assert headway(folder) == before


# --- names and folders ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fix"),
    [("alignmnt", "alignment"), ("averagin", "averaging"), ("###", "jaxbias list")],
)
def test_an_unknown_name_offers_the_closest(name, fix):
    with pytest.raises(InputError) as caught:
        cli_commands.known("study", name, ["alignment", "averaging"])
    assert fix in caught.value.fix
    cli_commands.known("study", "alignment", ["alignment"])


def test_a_writable_folder_is_left_as_it_was(tmp_path):
    cli_commands.writable(tmp_path / "not" / "yet" / "there")
    assert list(tmp_path.iterdir()) == []


def test_main_studies_are_some_of_all():
    everything, main = cli_commands.study_names(), cli_commands.study_names(main=True)
    assert "neuron_alignment" in main
    assert set(main) <= set(everything)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["list"], List()),
        (["list", "--json"], List(json=True)),
        (["list", "claims", "lyu"], List("claims", "lyu")),
        (["verify", "a", "--size", "paper"], Verify(("a",), "paper")),
        (["verify", "--teeth", "--json"], Verify(teeth=True, json=True)),
        (["verify", "--seeds", "64"], Verify(seeds=64)),
    ],
)
def test_words_are_read_as_commands(words, command):
    assert parse(words) == command


def test_a_folder_is_read_as_a_path(tmp_path):
    assert parse(["status", str(tmp_path)]) == Status(tmp_path)


# --- printing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"verdict": "violated"}, False),
        ({"verdict": "violated", "expected": "violated"}, True),
        ({"as_expected": False}, False),  # a decoy passed
        ({"verdict": "violated", "as_expected": True}, True),
    ],
)
def test_as_expected_is_the_row_s_own_word_or_its_verdict(changes, expected):
    assert cli_output.as_expected(row(**changes)) is expected


@pytest.mark.parametrize(
    ("interval", "acceptance", "worst"),
    [
        ([[0.0, 1.0]], [[-1.0, 1.5]], "[0, 1]"),
        ([[0.0, 1.0], [2.0, 3.0]], [[None, 1.5], [None, 2.5]], "[2, 3]"),
        ([[0.0, 1.0], [None, 3.0]], [[0, 2], [0, 4]], "unfinished"),
        ([], [], "-"),
    ],
)
def test_the_worst_interval_is_shown(interval, acceptance, worst):
    found = cli_output.worst_case({"interval": interval, "acceptance": acceptance})
    assert found == worst


def test_the_table_and_the_ledger_agree_on_the_worst_case():
    from jaxbias.verification import verify

    [verdict] = verify("jaxbias/radius-unequal-averages")
    printed = verdict.row()
    low, high = printed["interval"][verdict.worst]
    assert cli_output.worst_case(printed) == f"[{low:.4g}, {high:.4g}]"


def test_verdicts_are_printed_with_what_is_wrong_with_them(capsys):
    bad = row(claim="x/y", as_expected=False, teeth=False, measured=[0.5, 0.25])
    cli_output.print_verdicts([row(seeds=12), bad])
    said = capsys.readouterr().out
    assert "1 of 2 verdicts as expected." in said
    assert "Wrong predictions: 0 of 1 claims refused theirs." in said
    assert "x/y: a wrong prediction was not refused." in said
    lines = said.splitlines()
    [good] = [line for line in lines if CLAIM in line]
    assert good.split()[:2] == [CLAIM, "holds"]
    assert "(" not in good
    assert good.split()[-1] == "12"
    [wrong] = [line for line in lines if "x/y " in line]
    assert "holds (a decoy passed)" in wrong
    assert "0.25 .. 0.5" in wrong


def test_wrong_predictions_are_mentioned_only_where_they_were_tried(capsys):
    cli_output.print_verdicts([row()])
    assert "Wrong" not in capsys.readouterr().out
    cli_output.print_verdicts([row(), row(teeth=True), row(teeth=True)])
    assert "Wrong predictions: 2 of 2 claims refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "cell"),
    [
        ({}, "holds"),
        ({"teeth": True, "as_expected": True}, "holds"),
        ({"expected": "violated"}, "holds (expected: violated)"),
        ({"verdict": "inconclusive"}, "inconclusive (expected: holds)"),
        ({"teeth": False, "as_expected": False}, "holds (a decoy passed)"),
    ],
)
def test_the_verdict_says_what_was_expected_only_where_it_differs(changes, cell):
    assert cli_output.verdict_cell(row(**changes)) == cell


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.array([[1, 2]]), [[1, 2]]),
        (float("-inf"), None),
        ({1: {"a": (np.nan,)}}, {"1": {"a": [None]}}),
        (np.bool_(True), True),
        ([None, "word"], [None, "word"]),
    ],
)
def test_documents_are_plain(value, plain, capsys):
    cli_output.print_json(value)
    assert json.loads(capsys.readouterr().out) == plain


def test_square_brackets_are_no_markup(capsys):
    cli_output.print_table("title", ["a"], [["[red]0.5, 0.7[/red]"]])
    assert "[red]0.5, 0.7[/red]" in capsys.readouterr().out
