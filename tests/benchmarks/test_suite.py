"""The rule of equal error, on methods whose times and errors are made up."""

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.benchmarks import suite
from jaxbias.benchmarks.flows import LOSS_TARGET, TARGET
from jaxbias.benchmarks.names import BASELINES, BENCHMARKS, FLOWS, METHODS
from jaxbias.benchmarks.rows import Point, words
from jaxbias.benchmarks.suite import bench, search
from jaxbias.benchmarks.table import COLUMNS, cells
from jaxbias.benchmarks.worker import Run, Worker
from jaxbias.benchmarks.workloads import workload


def _searched(table, ladders, rule="a"):
    """Order and choice of a search over ``name: (seconds, error, loss error)``."""
    asked = []

    def measure(setting):
        asked.append(setting["at"])
        seconds, error, *loss = table[setting["at"]]
        loss_error = loss[0] if loss else 1.0
        return Point("w", "m", setting["at"], float(seconds), error, 1.0, loss_error)

    steps = [[{"at": at} for at in row] for row in ladders]
    chosen = search(steps, measure, workload("S-p1"), rule)
    return asked, chosen["at"]


def test_the_fastest_setting_that_meets_the_target_wins():
    table = {"a1": (1, 0.1), "a2": (2, 1e-3), "a3": (3, 1e-5), "b1": (1.5, 1e-3)}
    asked, chosen = _searched(table, [("a1", "a2", "a3"), ("b1",)])
    assert chosen == "b1"
    assert asked == ["a1", "a2", "b1"], "what follows a success is slower"


def test_a_ladder_slower_than_the_best_so_far_is_left():
    table = {"a": (1, 1e-3), "b1": (2, 0.1), "b2": (3, 1e-3)}
    assert _searched(table, [("a",), ("b1", "b2")]) == (["a", "b1"], "a")


def test_the_target_itself_is_met():
    assert _searched({"a": (1, TARGET), "b": (2, 0.0)}, [("a", "b")]) == (["a"], "a")


def test_without_a_success_the_most_accurate_enters():
    table = {"a": (1, 0.5), "b": (2, 2e-3), "c": (3, float("inf"))}
    asked, chosen = _searched(table, [("a", "b"), ("c",)])
    assert (asked, chosen) == (["a", "b", "c"], "b")


def test_rule_b_asks_for_the_loss_as_well():
    table = {"a": (1, 1e-3, 0.15), "b": (2, 2e-3, 0.005), "c": (3, 1e-3, LOSS_TARGET)}
    assert _searched(table, [("a", "b", "c")], "a") == (["a"], "a")
    assert _searched(table, [("a", "b", "c")], "b") == (["a", "b", "c"], "c")
    # Shares of both targets: 2/1.2 of the outputs is nearer than 15 times of the loss.
    assert _searched(table, [("a", "b")], "b") == (["a", "b"], "b")


def test_a_ladder_ends_where_a_tighter_setting_does_not_finish():
    wild = float("inf")
    table = {"a": (1, wild), "b": (2, 0.1), "c": (3, wild), "d": (4, 1e-3)}
    assert _searched(table, [("a", "b", "c", "d")]) == (["a", "b", "c"], "b")


def test_settings_are_words():
    assert words({"solver": "Heun", "rtol": 0.5}) == "Heun, rtol 0.5"
    assert words({"rate": 0.20}) == "rate 0.2"


class Scripted(Worker):
    """A worker that takes made-up seconds and errs by a made-up amount."""

    seconds: dict
    errors: dict
    alive: list
    folders: set
    loss_error: Any
    scaled: str

    def __init__(self, method, workload, cache=None):
        self.method, self.cached = method, cache
        self.networks = workload in FLOWS
        self._seconds = itertools.cycle(self.seconds[method])
        Scripted.alive.append(self)

    def prepare(self, setting, seeds, record=False):
        self.setting, self.record = setting, record or isinstance(setting, str)
        self.seeds, self.exact = seeds, setting == "tight"
        self.loose = setting == "looser"
        if self.method == "torch":
            return 0.0
        known = (self.method, self.cached) in Scripted.folders
        Scripted.folders.add((self.method, self.cached))
        return 0.25 if known else 2.0

    def run(self):
        error = 0.0 if self.exact else self.errors[self.method]
        if self.loose:
            error = 1e-5
        shape = (len(self.seeds), 4) if self.networks else 4
        outputs = np.full(shape, 1.0 + error)
        finished = np.isfinite(error)
        losses = None
        if self.record and self.networks:
            off = 0.0 if self.exact else self.loss_error(self.method, self.setting)
            losses = np.full((len(self.seeds), 3), 0.5)
            losses[-1, 1] *= 1 + off
        seconds = next(self._seconds)
        return Run(seconds, outputs, bool(finished), 10.0, 5.0, losses, self.scaled)

    def close(self):
        Scripted.alive.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def scripted(monkeypatch):
    Scripted.seconds = {m: [1.0] for m in ("ours", *BASELINES)}
    Scripted.errors = dict.fromkeys(Scripted.seconds, 1e-4)
    Scripted.alive, Scripted.folders = [], set()
    Scripted.loss_error = staticmethod(lambda method, setting: 1e-3)
    Scripted.scaled = ""
    monkeypatch.setattr(suite, "Worker", Scripted)
    monkeypatch.setattr(suite, "_missing", lambda method: None)
    return Scripted


def test_ratios_are_paired_round_by_round(scripted):
    # Before the rounds, in the process that is timed: errors and a run to warm up.
    scripted.seconds["ours"] = [1.0] * 2 + [2.0, 4.0, 9.0]
    scripted.seconds["diffrax-best"] = [1.0] * 2 + [30.0, 20.0, 240.0]
    rows, _ = bench(["S-p1"], baselines=["diffrax-best"], rounds=3)
    row, other = rows
    assert (row.rule, other.rule) == ("a", "b")
    ratios = sorted([30 / 2, 20 / 4, 240 / 9])
    assert (row.ratio_low, row.ratio, row.ratio_high) == pytest.approx(ratios)
    assert row.seconds == 4.0
    assert row.baseline_seconds == 30.0
    assert (row.status, row.rounds, row.seeds) == ("finished", 3, 8)
    assert row.error == pytest.approx(1e-4)
    assert row.reference_error == pytest.approx(1e-5)
    assert scripted.alive == []


def test_compiling_is_told_apart_and_only_where_there_is_some(scripted):
    rows, _ = bench(["S-p3"], rounds=1)
    assert {row.baseline for row in rows} == set(METHODS["S-p3"]) - {"ours"}
    assert {(row.baseline, row.rule) for row in rows} >= {
        ("torch", "a"),
        ("torch", "b"),
    }
    for row in rows:
        assert (row.compile_cold, row.compile_warm) == (2.0, 0.25)
        theirs = row.baseline_compile_cold, row.baseline_compile_warm
        assert theirs == ((0, 0) if row.baseline == "torch" else (2.0, 0.25))


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        (1e-4, 1e-4, "finished"),
        (1e-4, 1e-2, "baseline above target"),
        (1e-2, 1e-4, "ours above target"),
        (1e-2, 1e-2, "ours above target"),
    ],
)
def test_an_unfair_ratio_says_so(scripted, ours, theirs, status):
    scripted.errors |= {"ours": ours, "diffrax-best": theirs}
    rows, _ = bench(["S-p1"], baselines=["diffrax-best"], rounds=1)
    assert [row.status for row in rows] == 2 * [status]


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        (0.009, 0.009, "finished"),
        (0.009, 0.15, "baseline above target"),
        (0.15, 0.009, "ours above target"),
    ],
)
def test_a_loss_that_is_off_counts_under_rule_b_alone(scripted, ours, theirs, status):
    off = {"ours": ours, "diffrax-best": theirs}
    scripted.loss_error = staticmethod(lambda method, setting: off[method])
    rows, _ = bench(["S-p1"], baselines=["diffrax-best"], rounds=1)
    assert [(row.rule, row.status) for row in rows] == [
        ("a", "finished"),
        ("b", status),
    ]
    for row in rows:
        assert row.loss_error == pytest.approx(ours)
        assert row.baseline_loss_error == pytest.approx(theirs)
        assert row.reference_loss_error > 0


def test_the_published_rate_enters_beside_the_tuned_one(scripted):
    scripted.loss_error = staticmethod(
        lambda method, setting: 0.9 * setting["rate"] if method == "torch" else 1e-3
    )
    rows, points = bench(["S-p1"], baselines=["torch"], rounds=1)
    found = [(row.rule, row.baseline_setting, row.status) for row in rows]
    assert found == [
        ("a", "rate 0.8", "finished"),
        ("a", "rate 0.2", "finished"),
        ("b", "rate 0.01", "finished"),
        ("b", "rate 0.2", "baseline above target"),
    ]
    assert len(points) == len({point.setting for point in points}) == 8, "each once"


def test_what_is_scaled_says_from_what(scripted):
    scripted.scaled = "scaled from 2 of 8 seeds"
    rows, _ = bench(["S-p3"], baselines=["torch"], rounds=1)
    assert {r.baseline_setting.partition("; ")[2] for r in rows} == {scripted.scaled}


def test_a_baseline_that_never_finishes_has_no_ratio(scripted):
    scripted.errors["diffrax-best"] = float("inf")
    rows, _ = bench(["S-p1"], baselines=["diffrax-best"], rounds=1)
    assert {(row.status, row.ratio) for row in rows} == {
        ("baseline did not finish", None)
    }


def test_no_row_holds_what_json_cannot(scripted):
    scripted.errors["ours"] = float("inf")
    [row, _], _ = bench(["S-p1"], baselines=["diffrax-best"], rounds=1)
    assert row.status == "ours above target"
    assert row.plain()["error"] is None
    json.dumps(row.plain(), allow_nan=False)
    assert dict(zip(COLUMNS, cells(row.plain()), strict=True))["error"] == "-"


def test_all_settings_are_points_only_on_request(scripted):
    scripted.errors["torch"] = 2e-3
    _, few = bench(["S-p1"], baselines=["torch"], rounds=1)
    _, all_ = bench(["S-p1"], baselines=["torch"], rounds=1, curves=True)
    rates = [f"rate {x}" for x in (0.8, 0.4, 0.2, 0.1, 0.05, 0.02, 0.016, 0.01)]
    assert [point.setting for point in few] == rates
    assert {point.method for point in all_} == {"ours", "torch"}
    assert len(all_) == 2 * 6 + len(rates)


def test_a_missing_library_is_a_row_without_a_number(scripted, monkeypatch):
    gone = {"torch": ("torch", "bench")}
    monkeypatch.setattr(suite, "_missing", gone.get)
    rows, _ = bench(["S-p1"], rounds=1)
    gone_ = [row for row in rows if row.baseline == "torch"]
    assert [row.rule for row in gone_] == ["a", "b"]
    assert {row.status for row in gone_} == {"not run: torch is not installed"}
    assert {row.ratio for row in gone_} == {None}
    assert len(rows) == 6
    with pytest.raises(InputError, match=r"pip install 'jaxbias\[bench\]'"):
        bench(["S-p1"], baselines=["torch"])


def test_workers_end_with_a_failure(scripted):
    def broken(self):
        raise RuntimeError("out of memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripted, "run", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            bench(["S-p1"], rounds=1)
    assert scripted.alive == []


def test_a_reference_that_stops_early_is_not_one(scripted, monkeypatch):
    real = scripted.run
    stopped = lambda self: real(self)._replace(finished=False)
    monkeypatch.setattr(scripted, "run", stopped)
    with pytest.raises(RuntimeError, match="reference"):
        bench(["S-p1"], rounds=1)


@pytest.mark.parametrize(
    ("words_", "helps"),
    [
        ({"names": ["S-p2"]}, "S-p1"),
        ({"names": [], "baselines": ["pytorch"]}, "torch"),
        ({"names": [], "rounds": 0}, "rounds=1"),
        ({"names": ["radius-p2"]}, "Try .*'radius-p1'"),
        ({"names": ["radius-p1"], "baselines": ["torch"]}, "'torch-pgd'"),
        ({"names": ["M-p1"], "baselines": ["torch-pgd"]}, "baseline='diffrax-best'"),
    ],
)
def test_bad_words_are_refused_before_the_work(words_, helps, scripted):
    with pytest.raises(InputError, match=helps):
        bench(**words_)
    assert scripted.alive == []


def test_rows_are_plain(scripted):
    [row, *_], _ = bench(["M-p3"], baselines=["torch"], rounds=2)
    assert row.plain() == dataclasses.asdict(row)
    assert {"rule", "loss_error", "baseline_loss_error"} <= set(row.plain())
    assert row.plain()["baseline_setting"] == "rate 0.8"


def test_what_is_found_is_handed_over_after_each_workload(scripted):
    kept = []
    bench(
        ["S-p1", "M-p3"],
        baselines=["torch"],
        rounds=1,
        keep=lambda rows, points: kept.append([row.name for row in rows]),
    )
    assert [sorted(set(names)) for names in kept] == [["S-p1"], ["M-p3", "S-p1"]]


def test_radii_are_held_against_ours(scripted):
    scripted.errors |= {"ours": 0.0, "torch-pgd": 0.25, "foolbox-fmn": 0.0}
    rows, points = bench(["bounds-p3"], rounds=2, curves=True)
    assert [row.baseline for row in rows] == ["torch-pgd", "foolbox-fmn"]
    assert [row.baseline_error for row in rows] == pytest.approx([0.25, 0.0])
    assert [row.error for row in rows] == pytest.approx([-0.2, 0.0])
    assert {row.status for row in rows} == {"finished"}
    assert {row.reference_error for row in rows} == {None}
    assert {(row.seeds, row.rounds) for row in rows} == {(1, 2)}
    assert rows[0].baseline_setting == "radii 15, steps 2000"
    assert points == []


@pytest.mark.parametrize(
    ("ours", "status"), [(1e-5, "ours above target"), (5e-7, "finished")]
)
def test_a_radius_above_a_baselines_is_ours_to_answer_for(scripted, ours, status):
    scripted.errors |= {"ours": ours, "torch-pgd": 0.0}
    [row], _ = bench(["radius-p1"], baselines=["torch-pgd"], rounds=1)
    assert (row.status, row.error) == (status, pytest.approx(ours))
    assert row.baseline_error == pytest.approx(-ours, rel=1e-4)


def test_points_that_are_never_broken_are_told(scripted, monkeypatch):
    real = scripted.run

    def run(self):
        found = real(self)
        if self.method == "torch-pgd":
            found.outputs[:3] = np.inf
        return found

    monkeypatch.setattr(scripted, "run", run)
    [row], _ = bench(["radius-p1"], baselines=["torch-pgd"], rounds=1)
    assert row.baseline_setting == "radii 15, steps 2000; 3 of 4 points not broken"
    assert row.baseline_error == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("ours", "status"),
    [(0.0, "baseline did not finish"), (np.inf, "ours above target")],
)
def test_a_baseline_that_breaks_nothing_hides_no_failure(scripted, ours, status):
    scripted.errors |= {"ours": ours, "torch-pgd": np.inf}
    [row], _ = bench(["exact-p1"], baselines=["torch-pgd"], rounds=1)
    assert (row.status, row.ratio) == (status, None)


def test_a_baseline_chooses_its_benchmarks(scripted):
    rows, _ = bench(baselines=["foolbox-fmn", "diffrax-best"], rounds=1)
    assert list(dict.fromkeys(row.name for row in rows)) == list(BENCHMARKS)
    assert {row.rule for row in rows if row.baseline == "foolbox-fmn"} == {None}
    rows, _ = bench(baselines=["foolbox-fmn"], rounds=1)
    assert [row.name for row in rows] == [n for n in BENCHMARKS if n[0] in "rbe"]
