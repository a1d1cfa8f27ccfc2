"""The golden table of the ledger, and what the comparison with it says."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

from jaxbias.verification import registry
from jaxbias.verification.run import seed_root

SCRIPT = pathlib.Path(__file__).parents[1] / "scripts" / "compare_ledger.py"
_spec = importlib.util.spec_from_file_location("compare_ledger", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
ledger = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ledger)

ROW = {
    "claim": "toy/bound",
    "seed_root": 7,
    "alpha": None,
    "verdict": "holds",
    "expected": "holds",
    "conclusion": "true",
    "teeth": True,
    "seeds": 16,
    "failed": 0,
    "numerical_error": 1e-6,
    "interval": [[0.5, 0.6], [0.7, None]],
    "acceptance": [0.0, 1.0],
    "seconds": 1.0,
}


def moved(**changed):
    old, new = (ledger.golden_row(row) for row in (ROW, {**ROW, **changed}))
    return ledger.differences(old, new)


def test_the_golden_table_has_the_claims_and_roots_of_the_ledger():
    rows = ledger.read_rows([ledger.GOLDEN])
    claims = registry.ledger()
    assert set(rows) == set(claims)
    assert {name: row["seed_root"] for name, row in rows.items()} == {
        name: seed_root(claim) for name, claim in claims.items()
    }
    # An expectation is a claim's; a verdict other than it stands in no table.
    assert all(row["expected"] == claims[name].expected for name, row in rows.items())
    assert all(row["verdict"] == row["expected"] for row in rows.values())


def test_equal_rows_have_not_moved_and_time_is_no_matter():
    assert moved() == moved(seconds=9.0) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"seed_root": 8},
        {"alpha": 1e-5},
        {"verdict": "violated"},
        {"conclusion": "false"},
        {"teeth": False},
        {"seeds": 17},
        {"failed": 1},
    ],
)
def test_another_word_or_count_is_said(changed):
    [line] = moved(**changed)
    [(name, value)] = changed.items()
    assert line == f"{name}: {ROW[name]} -> {value}"


def test_ends_move_by_more_than_both_numerical_errors_or_not_at_all():
    within = [[0.5, 0.6 + 1.9e-6], [0.7, None]]
    assert moved(interval=within) == []
    [line] = moved(interval=[[0.5, 0.6 + 3e-6], [0.7, None]])
    assert line.startswith("interval: 0.6 -> 0.600003, 4.3e-06 of the largest (1 of 3")
    [line] = moved(acceptance=[0.1, 1.0])
    assert line.startswith("acceptance: 0 -> 0.1, 0.1 of the largest")


def test_an_end_that_opens_and_another_number_of_cases_are_said():
    [line] = moved(interval=[[0.5, None], [0.7, None]])
    assert "open" in line
    [line] = moved(interval=[[0.5, 0.6]])
    assert line == "interval: (2, 2) -> (1, 2) numbers"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_written_rows_are_the_next_golden_table(tmp_path):
    rows, golden = tmp_path / "rows.json", tmp_path / "golden.json"
    rows.write_text(json.dumps([ROW]))
    assert run(rows, "--golden", golden).returncode == 1
    assert run(rows, "--golden", golden, "--write").returncode == 0
    assert run(rows, "--golden", golden).returncode == 0
    other = {**ROW, "claim": "toy/other"}
    rows.write_text(json.dumps([other]))
    assert run(rows, "--golden", golden, "--write").returncode == 0
    assert set(ledger.read_rows([golden])) == {"toy/bound", "toy/other"}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"claims": 1}]'])
def test_a_file_without_rows_is_one_line(tmp_path, text):
    rows = tmp_path / "rows.json"
    rows.write_text(text)
    done = run(rows)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"got: {rows}")
