"""The folder ``figures/benchmarks``: the plot, its data, the table and the rules."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import xarray as xr

from jaxbias._checks import InputError
from jaxbias._files import write_text
from jaxbias.benchmarks.flows import TARGET
from jaxbias.benchmarks.names import BASELINES, BENCHMARKS
from jaxbias.benchmarks.radii import SLACK
from jaxbias.benchmarks.rows import Point, Row
from jaxbias.benchmarks.table import lines
from jaxbias.plots import draw
from jaxbias.results import open as open_table
from jaxbias.results import provenance, write

FIGURE = "error_against_time"
_RULES = (
    "One pinned core, one thread, process CPU time; every method in a process of its "
    "own, rounds interleaved, medians with the least and largest ratio. Data loading "
    "and compiling are not in the times. A method quicker than 0.1 s runs until it has "
    "used that much, and the mean counts.",
    f"Flows (S, M), equal error: the worst seed's relative L2 error of the outputs on "
    f"1,000 fresh rows, against a tight float64 flow, is at most {TARGET:g}. A "
    "baseline enters at its fastest setting that meets this on seeds 0, 1, ...; ratios "
    "are measured on seeds 100, 101, ... A row `above target` is of a baseline that "
    "never meets it and enters at its most accurate setting, or that misses it on the "
    "measured seeds alone; both favour the baseline.",
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
    "Rows of one benchmark are measured together. Those of benchmarks that were not "
    "measured again stay as they were, and may be of another day.",
    "Open marks are settings tried on the tuning seeds, filled ones those compared.",
)


def write_report(rows: Sequence[Row], points: Sequence[Point], out: Path) -> list[Path]:
    """Write ``bench.json``, the figure with its data, and the page.

    What the folder holds of benchmarks that are not in ``rows`` is kept.

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
    measured = {row.name for row in rows}
    rows = _in_order([*_kept_rows(known, measured), *rows])
    plain = [row.plain() for row in rows]
    drawn = []
    if points:
        about = provenance({"benchmarks": sorted(measured)})
        table = _kept_points(data, measured, tabulate(rows, points))
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
    place = list(BENCHMARKS).index
    return sorted(rows, key=lambda row: place(row.name))


def _kept_rows(path: Path, measured: set[str]) -> list[Row]:
    """Rows of other benchmarks in an earlier ``bench.json``."""
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text("utf-8"))
        names = {field.name for field in fields(Row)}
        earlier = [Row(**{k: row[k] for k in names & set(row)}) for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"earlier results in {str(path)!r}",
            f"they cannot be read ({error}), and would be lost",
            "another folder, or this one without that file",
        ) from error
    return [r for r in earlier if r.name in BENCHMARKS and r.name not in measured]


def _kept_points(path: Path, measured: set[str], table: xr.Dataset) -> xr.Dataset:
    """The table, with an earlier file's points of other benchmarks, in their order."""
    if path.exists():
        earlier = open_table(path)
        keep = [
            name in BENCHMARKS and name not in measured
            for name in earlier.benchmark.values.tolist()
        ]
        earlier = earlier.isel(point=np.flatnonzero(keep))
        table = xr.concat([earlier, table], "point", combine_attrs="drop")
        table = table.assign_attrs(target=TARGET)
    place = {name: number for number, name in enumerate(BENCHMARKS)}
    order = [place[name] for name in table.benchmark.values.tolist()]
    return table.isel(point=np.argsort(order, kind="stable"))


def _doubts(rows: Sequence[Row]) -> list[str]:
    """What is known of the error of the reference solutions."""
    known = {row.name: row.reference_error for row in rows if row.reference_error}
    if not known:
        return []
    each = ", ".join(f"{name} {error:.1e}" for name, error in known.items())
    return [f"Reference solutions against three times looser ones: {each}.", ""]


def tabulate(rows: Sequence[Row], points: Sequence[Point]) -> xr.Dataset:
    """Tried settings and compared ones, one point each.

    Benchmarks of which no setting was tried have no panel.
    """
    tried = {point.name for point in points}
    columns: list[tuple] = [(p.name, p.method, p.seconds, p.error, 0) for p in points]
    for row in rows:
        if row.ratio is not None and row.name in tried:
            ours = (row.name, "ours", row.seconds, row.error, 1)
            if ours not in columns:
                columns.append(ours)
            theirs = row.baseline_seconds, row.baseline_error
            columns.append((row.name, row.baseline, *theirs, 1))
    names = ("benchmark", "method", "seconds", "error", "compared")
    return xr.Dataset(
        {
            name: ("point", np.array(column))
            for name, column in zip(names, zip(*columns, strict=True), strict=True)
        },
        attrs={"target": TARGET},
    )
