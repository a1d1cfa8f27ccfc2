"""The rules of equal error: each method at its fastest setting that meets the targets.

Rule a: of the outputs at the end. Rule b: that, and of the loss at every saved time.
Settings are chosen on tuning seeds, ratios measured on others, rounds interleaved. A
baseline that never meets a rule enters at the setting nearest to it, one may miss it
on the measured seeds alone, and a published setting enters as it is: all that favours
the baseline, and its row says so. Methods with one setting are not tuned; how the
answers of a baseline and of ours compare then stands beside the ratio.
"""

import contextlib
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
from jaxbias.benchmarks.rows import Measured, Point, Row, compare, missed, words
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
        Row(name, b, f"not run: {m[0]} is not installed", rule=rule)
        for rule in load.rules or (None,)
        for b, m in absent.items()
    ]
    if not present:
        return rows, []
    references: dict[str, Run] = {}
    points: list[Point] = []
    compared: list[tuple[str | None, str, dict]] = []
    with Worker("ours", name) as worker:
        for which, (how, seeds) in load.references.items():
            tell(f"{name}: reference solutions, {which}")
            references[which] = _reference(worker, how, seeds)
    for method in ("ours", *present):
        with Worker(method, name) as worker:
            tell(f"{name}: settings of {method}")
            tried, chosen = _tune(method, worker, load, references, curves)
        points += tried
        compared += [(rule, method, setting) for rule, setting in chosen]
    measured = _interleave(compared, load, rounds, tell)
    ours = {rule: m for rule, method, m in measured if method == "ours"}
    rows += [
        compare(load, rule, method, ours[rule], found, references)
        for rule, method, found in sorted(measured, key=lambda one: one[0] or "")
        if method != "ours"
    ]
    return rows, points


def _reference(worker: Worker, how: str, seeds: tuple[int, ...]) -> Run:
    worker.prepare(how, seeds)
    run = worker.run()
    if not run.finished:
        raise RuntimeError("the reference solution did not finish")
    return run


def _tune(
    method, worker, load: Workload, references: dict[str, Run], curves
) -> tuple[list[Point], list[tuple[str | None, dict]]]:
    """Points tried, and each setting to measure with the rule it is measured under."""
    module = importlib.import_module(METHODS[load.name][method])
    if not load.rules:
        return [], [(None, module.CHOSEN)]
    known: dict[str, Point] = {}
    reference = references["tuning"]

    def measure(setting: dict) -> Point:
        text = words(setting)
        if text not in known:
            worker.prepare(setting, load.tuning_seeds, record=True)
            run = worker.run()
            error = loss_error = math.inf
            if run.finished:
                error = load.error(run.outputs, reference.outputs)
                loss_error = load.loss_error(run.losses, reference.losses)
            known[text] = Point(
                load.name, method, text, run.seconds, error, run.evaluations, loss_error
            )
        return known[text]

    chosen: list[tuple[str | None, dict]] = []
    for rule in load.rules:
        if module.CHOSEN is not None:
            for setting in module.SETTINGS[rule] if curves else ():
                measure(setting)
            chosen.append((rule, module.CHOSEN[rule]))
            continue
        chosen.append((rule, search(module.LADDERS, measure, load, rule)))
        published = getattr(module, "PUBLISHED", None)
        if published not in (None, chosen[-1][1]):
            chosen.append((rule, published))
    return list(known.values()), chosen


def search(
    ladders: Iterable[Sequence[dict]],
    measure: Callable[[dict], Point],
    load: Workload,
    rule: str,
) -> dict:
    """The fastest setting that meets the rule, or else the one nearest to it.

    Each ladder goes from loose to tight. Its first setting that meets the rule ends
    it, and so does one that is slower than the best so far, or that did not finish
    where a looser one did: what follows is slower.
    """
    tried: list[tuple[float, float, dict]] = []
    best = float("inf")
    for ladder in ladders:
        went = False
        for setting in ladder:
            point = measure(setting)
            miss = missed(load, rule, point.error, point.loss_error)
            tried.append((miss, point.seconds, setting))
            if miss <= 1:
                best = min(best, point.seconds)
                break
            finished = math.isfinite(point.error)
            if point.seconds > best or (went and not finished):
                break
            went = went or finished
    met = [one for one in tried if one[0] <= 1]
    if met:
        return min(met, key=lambda one: one[1])[2]
    return min(tried, key=lambda one: one[0])[2]


def _interleave(
    compared: list[tuple[str | None, str, dict]], load: Workload, rounds, tell
) -> list[tuple[str | None, str, Measured]]:
    """Every setting that is compared, in a process of its own, round by round."""
    seeds = load.seeds_measured
    settings = {(method, words(setting)): setting for _, method, setting in compared}
    recorded: dict[tuple, Run | None] = {}
    runs: dict[tuple, list[Run]] = {key: [] for key in settings}
    with contextlib.ExitStack() as stack:
        workers = {}
        for key, setting in settings.items():
            tell(f"{load.name}: errors of {key[0]}, {key[1]}")
            workers[key] = worker = stack.enter_context(Worker(key[0], load.name))
            recorded[key] = None
            if load.rules:
                worker.prepare(setting, seeds, record=True)
                recorded[key] = worker.run()
            worker.prepare(setting, seeds)
            worker.run()
        for number in range(rounds):
            tell(f"{load.name}: round {number + 1} of {rounds}")
            for key, worker in workers.items():
                runs[key].append(worker.run())
    tell(f"{load.name}: compile time and memory")
    found = {
        key: Measured(
            runs[key], setting, recorded[key], *_afresh(key[0], load, setting)
        )
        for key, setting in settings.items()
    }
    return [
        (rule, method, found[method, words(setting)])
        for rule, method, setting in compared
    ]


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
