"""The rule of equal error: each method at its fastest setting that meets the target.

Settings are chosen on tuning seeds, ratios measured on others, rounds interleaved. A
baseline that never meets the target enters at its most accurate setting, and one may
miss it on the measured seeds alone: both favour it, and its row says so.
"""

import functools
import importlib
import importlib.util
import math
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxbias._checks import InputError, one_of, positive_int
from jaxbias.benchmarks.names import BASELINES, BENCHMARKS, METHODS, NEEDS
from jaxbias.benchmarks.worker import Run, Worker
from jaxbias.benchmarks.workloads import TARGET, Workload, workload, worst_error

Progress = Callable[[int, int, str], None]
FINISHED, ABOVE = "finished", "baseline above target"
OURS_ABOVE = "ours above target"
UNFINISHED = "baseline did not finish"


@dataclass(frozen=True)
class Point:
    """A method in one setting, on the tuning seeds.

    Attributes:
        name: the workload.
        method: ``ours`` or a baseline.
        setting: its parameters, in words.
        seconds: CPU seconds of one core for all seeds.
        error: of the worst seed.
        evaluations: full-batch gradients a seed.
    """

    name: str
    method: str
    setting: str
    seconds: float
    error: float
    evaluations: float


@dataclass(frozen=True)
class Row:
    """One ratio. ``None`` where nothing was measured; ``status`` says why.

    Attributes:
        name: the workload.
        baseline: what ours is compared with.
        ratio: baseline time over ours, median over rounds.
        ratio_low: the least of the rounds.
        ratio_high: the largest.
        error: ours, worst seed.
        baseline_error: the baseline's.
        seconds: CPU seconds of ours for all seeds, median.
        baseline_seconds: the baseline's.
        status: ``finished``, or what keeps the ratio from being a fair one.
        setting: ours, in words.
        baseline_setting: the baseline's.
        evaluations: full-batch gradients a seed.
        baseline_evaluations: the baseline's.
        compile_cold: seconds of tracing and compiling.
        compile_warm: the same from the persistent cache.
        baseline_compile_cold: the baseline's.
        baseline_compile_warm: the baseline's.
        peak_megabytes: memory above what libraries and data hold, compiling included.
        baseline_peak_megabytes: the baseline's.
        seeds: how many were solved.
        rounds: how often each was run.
        reference_error: of the reference solution, from one three times looser.
    """

    name: str
    baseline: str
    status: str
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    error: float | None = None
    baseline_error: float | None = None
    seconds: float | None = None
    baseline_seconds: float | None = None
    setting: str | None = None
    baseline_setting: str | None = None
    evaluations: float | None = None
    baseline_evaluations: float | None = None
    compile_cold: float | None = None
    compile_warm: float | None = None
    baseline_compile_cold: float | None = None
    baseline_compile_warm: float | None = None
    peak_megabytes: float | None = None
    baseline_peak_megabytes: float | None = None
    seeds: int = 0
    rounds: int = 0
    reference_error: float | None = None

    def plain(self) -> dict[str, Any]:
        """The row as ``bench --json`` prints it; no number where it is not finite."""
        wild = lambda x: isinstance(x, float) and not math.isfinite(x)
        return {k: None if wild(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Measured:
    """All rounds of one method on the measured seeds, and fresh processes of it."""

    runs: list[Run]
    error: float
    setting: dict
    compile_cold: float
    compile_warm: float
    peak: float

    @property
    def seconds(self) -> float:
        """Median CPU seconds."""
        return statistics.median(run.seconds for run in self.runs)


def bench(
    names: Sequence[str] = (),
    *,
    baselines: Sequence[str] = (),
    rounds: int = 5,
    curves: bool = False,
    progress: Progress = lambda *_: None,
    keep: Callable[[list[Row], list[Point]], None] = lambda *_: None,
) -> tuple[list[Row], list[Point]]:
    """Measure ratios of speed at equal error.

    Args:
        names: workloads; all when empty.
        baselines: what to compare with; all when empty.
        rounds: how often every method runs, interleaved.
        curves: whether every method also runs at its other settings, for the plot of
            error against time; the search of a baseline is returned in any case.
        progress: called with workloads done, workloads in all and what is being done.
        keep: called after each workload with all rows and points so far, so that an
            interruption loses one workload at most.

    Returns:
        The rows, and the points of error against time.

    Raises:
        InputError: an unknown name, or a baseline asked for by name whose library is
            not installed.
    """
    for name in names:
        one_of("benchmark", name, BENCHMARKS)
    for baseline in baselines:
        one_of("baseline", baseline, BASELINES)
        if missing := _missing(baseline):
            raise InputError(
                f"baseline {baseline!r} without {missing[0]}",
                f"it comes with the extra {missing[1]!r}",
                f"pip install 'jaxbias[{missing[1]}]'",
            )
    positive_int("rounds", rounds)
    rows, points = [], []
    chosen = tuple(names) or tuple(BENCHMARKS)
    for done, name in enumerate(chosen):
        tell = functools.partial(progress, done, len(chosen))
        found = _compare(name, baselines or tuple(BASELINES), rounds, curves, tell)
        rows += found[0]
        points += found[1]
        keep(rows, points)
    return rows, points


def _missing(method: str) -> tuple[str, str] | None:
    needed = NEEDS.get(method)
    if needed is None or importlib.util.find_spec(needed[0]) is not None:
        return None
    return needed


def _compare(name, baselines, rounds, curves, tell: Callable[[str], None]):
    load = workload(name)
    absent = {b: m for b in baselines if (m := _missing(b))}
    present = [b for b in baselines if b not in absent]
    rows = [
        Row(name, b, f"not run: {m[0]} is not installed") for b, m in absent.items()
    ]
    if not present:
        return rows, []
    workers: dict[str, Worker] = {}
    points: list[Point] = []
    try:
        workers["ours"] = Worker("ours", name)
        tell(f"{name}: reference solutions")
        looser, tuning, reference = (
            _reference(workers["ours"], seeds, how)
            for how, seeds in (
                ("looser", load.seeds_measured),
                ("tight", load.tuning_seeds),
                ("tight", load.seeds_measured),
            )
        )
        chosen = {}
        for method in ("ours", *present):
            if method not in workers:
                workers[method] = Worker(method, name)
            tell(f"{name}: settings of {method}")
            tried, chosen[method] = _tune(method, workers[method], load, tuning, curves)
            points += tried
        measured = _interleave(workers, chosen, load, reference, rounds, tell)
    finally:
        for worker in workers.values():
            worker.close()
    ours = measured.pop("ours")
    doubt = worst_error(looser, reference)
    rows += [_row(load, b, ours, m, rounds, doubt) for b, m in measured.items()]
    return rows, points


def _reference(worker: Worker, seeds: tuple[int, ...], how: str):
    worker.prepare(how, seeds)
    run = worker.run()
    if not run.finished:
        raise RuntimeError("the reference solution did not finish")
    return run.outputs


def _tune(
    method, worker, load: Workload, reference, curves
) -> tuple[list[Point], dict]:
    """Points tried and the setting to measure."""
    module = importlib.import_module(METHODS[method])

    def measure(setting: dict) -> Point:
        worker.prepare(setting, load.tuning_seeds)
        run = worker.run()
        error = worst_error(run.outputs, reference) if run.finished else float("inf")
        return Point(
            load.name, method, words(setting), run.seconds, error, run.evaluations
        )

    if module.CHOSEN is not None:
        settings = module.SETTINGS if curves else ()
        return [measure(setting) for setting in settings], module.CHOSEN
    return search(module.LADDERS, measure)


def search(
    ladders: Iterable[Sequence[dict]], measure: Callable[[dict], Point]
) -> tuple[list[Point], dict]:
    """The fastest setting that meets the target, or else the most accurate one.

    Each ladder goes from loose to tight. Its first setting that meets the target ends
    it, and so does one that is slower than the best so far: what follows is slower.
    """
    tried: list[tuple[Point, dict]] = []
    best = float("inf")
    for ladder in ladders:
        for setting in ladder:
            point = measure(setting)
            tried.append((point, setting))
            if point.error <= TARGET:
                best = min(best, point.seconds)
                break
            if point.seconds > best:
                break
    met = [one for one in tried if one[0].error <= TARGET]
    if met:
        winner = min(met, key=lambda one: one[0].seconds)
    else:
        winner = min(tried, key=lambda one: one[0].error)
    return [point for point, _ in tried], winner[1]


def words(setting: dict) -> str:
    """A setting as text."""
    return ", ".join(
        value if isinstance(value, str) else f"{name} {value:g}"
        for name, value in setting.items()
    )


def _interleave(workers, chosen, load: Workload, reference, rounds, tell):
    runs: dict[str, list[Run]] = {method: [] for method in chosen}
    for method in chosen:
        workers[method].prepare(chosen[method], load.seeds_measured)
        workers[method].run()
    for number in range(rounds):
        tell(f"{load.name}: round {number + 1} of {rounds}")
        for method in chosen:
            runs[method].append(workers[method].run())
    tell(f"{load.name}: compile time and memory")
    return {
        method: Measured(
            runs[method],
            max(
                worst_error(run.outputs, reference) if run.finished else float("inf")
                for run in runs[method]
            ),
            chosen[method],
            *_afresh(method, load, chosen[method]),
        )
        for method in chosen
    }


def _afresh(method: str, load: Workload, setting: dict) -> tuple[float, float, float]:
    """Seconds of compiling without and with a filled cache, and peak megabytes.

    Each in a process that has done nothing else.
    """
    with tempfile.TemporaryDirectory() as folder:
        with Worker(method, load.name, folder) as worker:
            cold = worker.prepare(setting, load.seeds_measured)
            peak = worker.run().peak_megabytes
        if cold == 0:
            return 0.0, 0.0, peak
        with Worker(method, load.name, folder) as worker:
            return cold, worker.prepare(setting, load.seeds_measured), peak


def _row(
    load: Workload, baseline: str, ours: Measured, theirs: Measured, rounds, doubt
) -> Row:
    if not math.isfinite(theirs.error):
        setting = words(theirs.setting)
        return Row(load.name, baseline, UNFINISHED, baseline_setting=setting)
    pairs = zip(ours.runs, theirs.runs, strict=True)
    ratios = [slow.seconds / fast.seconds for fast, slow in pairs]
    status = ABOVE if theirs.error > TARGET else FINISHED
    if ours.error > TARGET:
        status = OURS_ABOVE
    return Row(
        load.name,
        baseline,
        status,
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
        error=ours.error,
        baseline_error=theirs.error,
        seconds=ours.seconds,
        baseline_seconds=theirs.seconds,
        setting=words(ours.setting),
        baseline_setting=words(theirs.setting),
        evaluations=ours.runs[-1].evaluations,
        baseline_evaluations=theirs.runs[-1].evaluations,
        compile_cold=ours.compile_cold,
        compile_warm=ours.compile_warm,
        baseline_compile_cold=theirs.compile_cold,
        baseline_compile_warm=theirs.compile_warm,
        peak_megabytes=ours.peak,
        baseline_peak_megabytes=theirs.peak,
        seeds=load.seeds,
        rounds=rounds,
        reference_error=doubt,
    )
