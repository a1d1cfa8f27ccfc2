"""The folder ``figures/benchmarks``: the plot, its data, the table and the rules."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import xarray as xr

from jaxbias._checks import InputError
from jaxbias._files import write_text
from jaxbias.benchmarks.flows import LOSS_TARGET, TARGET
from jaxbias.benchmarks.names import BASELINES, BENCHMARKS, FLOWS
from jaxbias.benchmarks.radii import SLACK
from jaxbias.benchmarks.rows import Point, Row
from jaxbias.benchmarks.table import lines
from jaxbias.plots import draw
from jaxbias.results import open as open_table
from jaxbias.results import provenance, write

FIGURE = "error_against_time"
_TARGETS = {"target": TARGET, "loss_target": LOSS_TARGET}
_RULES = (
    "One pinned core, one thread, process CPU time; every method in a process of its "
    "own, rounds interleaved, medians with the least and largest ratio. Data loading "
    "and compiling are not in the times. A method quicker than 0.1 s runs until it has "
    "used that much, and the mean counts.",
    "Flows (S, M), equal error by two rules. Rule a: the worst seed's relative L2 "
    "error of the outputs on 1,000 fresh rows at the end, against a tight float64 "
    f"flow, is at most {TARGET:g}. Rule b: that, and the training loss of every seed "
    f"is within {LOSS_TARGET:.0%} of itself at each of 50 evenly spaced times. Ours is "
    "at the setting that is named for the rule (`final outputs` and the default), a "
    "baseline at its fastest setting that meets the rule on seeds 0, 1, ...; ratios "
    "are measured on seeds 100, 101, ... A row `above target` is of a baseline that "
    "never meets the rule and enters at the setting nearest to it, that misses it on "
    "the measured seeds alone, or that is the papers' own (`rate 0.2`); all favour the "
    "baseline.",
    "`error` is of the outputs, `loss error` the largest share by which the loss is "
    "off; both are told by a run that records, which is not the one that is timed.",
    "Every step of the recipe costs the same, so its time is scaled: from the first 2 "
    "seeds, and below rate 0.2 from the steps of rate 0.2, which pass through the same "
    "phases. Its errors are of the first 2 seeds too, which favours it.",
    "Radii (radius, bounds, exact), quality: 200 fresh points of one network, which "
    "our integrator trains on the data of seed 100 of S, untimed. Ours is one call of "
    "`radius` in l_2, from arrays to intervals: upper ends alone, certified lower ends "
    "as well, or branch and bound until both meet. Error is the largest share by which "
    "an upper end of ours exceeds the radius at which the baseline breaks that point: "
    f"below 0 ours is shorter everywhere, above {SLACK:g} the row is `ours above "
    "target`. Baseline error is the median share by which the baseline's radius "
    "exceeds our upper end, over the points it breaks; how many it does not stands "
    "with its setting. No baseline certifies anything.",
    "`torch-pgd` is the whole sweep of the papers, with the smallest radius at which "
    "it breaks a point: 15 of them, evenly spaced from 0 to 1.5. `foolbox-fmn` is the "
    "released attack with its projection mended, which divides a norm by itself.",
    "Compiling is timed in a process that has done nothing else, without and with a "
    "filled cache; of a method that compiles as it runs it is what the first call "
    "takes longer than the second. Memory is the highest resident set of such a "
    "process above what libraries and data hold, compiling included. Evaluations are "
    "full-batch gradients a seed, a dash where they are not counted.",
    "Rows of one benchmark against one baseline are measured together. Those that were "
    "not measured again stay as they were, and may be of another day.",
    "Open marks are settings tried on the tuning seeds, with their losses recorded in "
    "the time; filled ones are those compared. A panel shows the error of its rule: of "
    "the outputs (a), of the loss (b).",
    "Other programs ran on the machine while this was measured. What is quoted is the "
    "CPU time of one pinned core, which they disturb through caches and memory alone; "
    "the spread over rounds says how much.",
)


def write_report(rows: Sequence[Row], points: Sequence[Point], out: Path) -> list[Path]:
    """Write ``bench.json``, the figure with its data, and the page.

    Rows that the folder holds of other benchmarks and other baselines are kept, and
    so are the points of other benchmarks.

    Args:
        rows: what was measured.
        points: settings tried.
        out: the folder of all figures.

    Returns:
        The paths of the figure, if it was drawn again.

    Raises:
        InputError: the folder cannot be written, or what it holds cannot be read.
    """
    folder = out / "benchmarks"
    known, data = folder / "bench.json", folder / "data" / f"{FIGURE}.nc"
    names = {row.name for row in rows}
    measured = {(row.name, row.baseline) for row in rows}
    rows = _in_order([*_kept_rows(known, measured), *rows])
    plain = [row.plain() for row in rows]
    drawn = []
    if points:
        about = provenance({"benchmarks": sorted(names)})
        table = _with_kept_points(data, names, rows, points)
        drawn = draw(write(table.assign_attrs(**about, plot=FIGURE), data))
    write_text(known, json.dumps(plain, indent=1) + "\n")
    page = [
        "# Speed at equal error",
        "",
        "Written by `jaxbias bench`; measure again, do not edit.",
        "",
        *lines(plain),
        "",
        *_doubts(rows),
        *([f"![error against time]({FIGURE}.png)", ""] if data.exists() else []),
        "## Rules",
        "",
        *(f"- {rule}" for rule in _RULES),
        "",
        "## Names",
        "",
        *(f"- `{name}`: {text}" for name, text in (BENCHMARKS | BASELINES).items()),
    ]
    write_text(folder / "README.md", "\n".join(page) + "\n")
    return drawn


def _in_order(rows: Sequence[Row]) -> list[Row]:
    benchmark, baseline = list(BENCHMARKS).index, list(BASELINES).index
    return sorted(
        rows, key=lambda r: (benchmark(r.name), r.rule or "", baseline(r.baseline))
    )


def _kept_rows(path: Path, measured: set[tuple[str, str]]) -> list[Row]:
    """Rows of other benchmarks and baselines in an earlier ``bench.json``."""
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text("utf-8"))
        names = {field.name for field in fields(Row)}
        earlier = [Row(**{k: row[k] for k in names & set(row)}) for row in rows]
        # Before there were two rules there was the first.
        earlier = [
            replace(row, rule="a") if row.rule is None and row.name in FLOWS else row
            for row in earlier
        ]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"earlier results in {str(path)!r}",
            f"they cannot be read ({error}), and would be lost",
            "another folder, or this one without that file",
        ) from error
    return [
        row
        for row in earlier
        if row.name in BENCHMARKS and (row.name, row.baseline) not in measured
    ]


def _with_kept_points(
    path: Path, measured: set[str], rows: Sequence[Row], points: Sequence[Point]
) -> xr.Dataset:
    """The table, with an earlier file's points of other benchmarks, in their order."""
    kept = None
    if path.exists():
        kept = open_table(path)
        if "rule" not in kept:
            kept = kept.assign(rule=("point", np.full(kept.sizes["point"], "a")))
        names = kept.benchmark.values.tolist()
        keep = [name in BENCHMARKS and name not in measured for name in names]
        kept = kept.isel(point=np.flatnonzero(keep))
        told = set(kept.benchmark.values.tolist())
        rows = [row for row in rows if row.name not in told]
    table = tabulate(rows, points)
    if kept is not None:
        table = xr.concat([kept, table], "point", combine_attrs="drop")
        table = table.assign_attrs(**_TARGETS)
    place = {name: number for number, name in enumerate(BENCHMARKS)}
    order = [place[name] for name in table.benchmark.values.tolist()]
    return table.isel(point=np.argsort(order, kind="stable"))


def _doubts(rows: Sequence[Row]) -> list[str]:
    """What is known of the error of the reference solutions."""
    known = {
        row.name: (row.reference_error, row.reference_loss_error)
        for row in rows
        if row.reference_error
    }
    if not known:
        return []
    each = ", ".join(
        f"{name} {error:.1e}" + ("" if loss is None else f" (loss {loss:.2%})")
        for name, (error, loss) in known.items()
    )
    return [f"Reference solutions against three times looser ones: {each}.", ""]


def tabulate(rows: Sequence[Row], points: Sequence[Point]) -> xr.Dataset:
    """Tried settings and compared ones, one point for each rule that they are told by.

    Rows without a rule have no panel.
    """
    errors = {"a": "error", "b": "loss_error"}
    columns: list[tuple] = []
    for rule, error in errors.items():
        columns += [
            (p.name, p.method, p.seconds, getattr(p, error), 0, rule) for p in points
        ]
    for row in rows:
        if row.ratio is None or row.rule is None:
            continue
        error = errors[row.rule]
        ours = (row.name, "ours", row.seconds, getattr(row, error), 1, row.rule)
        if ours not in columns:
            columns.append(ours)
        theirs = row.baseline_seconds, getattr(row, f"baseline_{error}")
        columns.append((row.name, row.baseline, *theirs, 1, row.rule))
    names = ("benchmark", "method", "seconds", "error", "compared", "rule")
    return xr.Dataset(
        {
            name: ("point", np.array(column))
            for name, column in zip(names, zip(*columns, strict=True), strict=True)
        },
        attrs=_TARGETS,
    )
