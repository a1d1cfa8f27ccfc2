"""The rule of equal error: each method at its fastest setting that meets the target.

Settings are chosen on tuning seeds, ratios measured on others, rounds interleaved. A
baseline that never meets the target enters at its most accurate setting, and one may
miss it on the measured seeds alone: both favour it, and its row says so. Methods with
one setting are not tuned; how the answers of a baseline and of ours compare then
stands beside the ratio.
"""

import functools
import importlib
import importlib.util
import math
import tempfile
from collections.abc import Callable, Iterable, Sequence

from jaxbias._checks import InputError, one_of, positive_int
from jaxbias.benchmarks.interface import Workload
from jaxbias.benchmarks.names import BASELINES, BENCHMARKS, METHODS, NEEDS
from jaxbias.benchmarks.rows import OURS_ABOVE as OURS_ABOVE
from jaxbias.benchmarks.rows import Measured, Point, Row, compare, words
from jaxbias.benchmarks.worker import Run, Worker
from jaxbias.benchmarks.workloads import workload

Progress = Callable[[int, int, str], None]


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
        names: workloads; when empty, all that have one of the baselines.
        baselines: what to compare with; when empty, all that a workload has.
        rounds: how often every method runs, interleaved.
        curves: whether every method also runs at its other settings, for the plot of
            error against time; the search of a baseline is returned in any case.
        progress: called with workloads done, workloads in all and what is being done.
        keep: called after each workload with all rows and points so far, so that an
            interruption loses one workload at most.

    Returns:
        The rows, and the points of error against time.

    Raises:
        InputError: an unknown name, a workload without any of the baselines, or a
            baseline asked for by name whose library is not installed.
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
    chosen = _pairs(names, baselines)
    rows, points = [], []
    for done, (name, against) in enumerate(chosen.items()):
        tell = functools.partial(progress, done, len(chosen))
        found = _compare(name, against, rounds, curves, tell)
        rows += found[0]
        points += found[1]
        keep(rows, points)
    return rows, points


def _pairs(names: Sequence[str], baselines: Sequence[str]) -> dict[str, list[str]]:
    """The baselines of every workload to measure."""
    pairs = {
        name: [b for b in baselines or BASELINES if b in METHODS[name]]
        for name in names or BENCHMARKS
    }
    for name in names:
        if not pairs[name]:
            theirs = [method for method in METHODS[name] if method in BASELINES]
            raise InputError(
                f"benchmark {name!r} against {', '.join(map(repr, baselines))}",
                "they do not solve the same problem",
                " or ".join(f"baseline={one!r}" for one in theirs),
            )
    return {name: against for name, against in pairs.items() if against}


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
        references = {}
        for which, (how, seeds) in load.references.items():
            tell(f"{name}: reference solutions, {which}")
            references[which] = _reference(workers["ours"], how, seeds)
        chosen = {}
        for method in ("ours", *present):
            if method not in workers:
                workers[method] = Worker(method, name)
            tell(f"{name}: settings of {method}")
            tried, chosen[method] = _tune(
                method, workers[method], load, references.get("tuning"), curves
            )
            points += tried
        measured = _interleave(workers, chosen, load, rounds, tell)
    finally:
        for worker in workers.values():
            worker.close()
    ours = measured.pop("ours")
    rows += [compare(load, b, ours, m, references) for b, m in measured.items()]
    return rows, points


def _reference(worker: Worker, how: str, seeds: tuple[int, ...]):
    worker.prepare(how, seeds)
    run = worker.run()
    if not run.finished:
        raise RuntimeError("the reference solution did not finish")
    return run.outputs


def _tune(
    method, worker, load: Workload, reference, curves
) -> tuple[list[Point], dict]:
    """Points tried and the setting to measure."""
    module = importlib.import_module(METHODS[load.name][method])

    def measure(setting: dict) -> Point:
        worker.prepare(setting, load.tuning_seeds)
        run = worker.run()
        error = load.error(run.outputs, reference) if run.finished else math.inf
        return Point(
            load.name, method, words(setting), run.seconds, error, run.evaluations
        )

    if module.CHOSEN is not None:
        settings = module.SETTINGS if curves else ()
        return [measure(setting) for setting in settings], module.CHOSEN
    return search(module.LADDERS, measure, load.baseline_target)


def search(
    ladders: Iterable[Sequence[dict]],
    measure: Callable[[dict], Point],
    target: float,
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
            if point.error <= target:
                best = min(best, point.seconds)
                break
            if point.seconds > best:
                break
    met = [one for one in tried if one[0].error <= target]
    if met:
        winner = min(met, key=lambda one: one[0].seconds)
    else:
        winner = min(tried, key=lambda one: one[0].error)
    return [point for point, _ in tried], winner[1]


def _interleave(workers, chosen, load: Workload, rounds, tell):
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
            runs[method], chosen[method], *_afresh(method, load, chosen[method])
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
