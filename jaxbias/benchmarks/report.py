"""The folder ``figures/benchmarks``: the plot, its data, the table and the rules."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jaxbias.benchmarks.names import BASELINES, BENCHMARKS
from jaxbias.benchmarks.suite import Point, Row
from jaxbias.benchmarks.table import lines
from jaxbias.benchmarks.workloads import TARGET
from jaxbias.plots import draw
from jaxbias.results import provenance, write

FIGURE = "error_against_time"
_RULES = (
    "One pinned core, one thread, process CPU time; every method in a process of its "
    "own, rounds interleaved, medians with the least and largest ratio. Data loading "
    "and compiling are not in the times.",
    f"Equal error: the worst seed's relative L2 error of the outputs on 1,000 fresh "
    f"rows, against a tight float64 flow, is at most {TARGET:g}. A baseline enters at "
    "its fastest setting that meets this on seeds 0, 1, ...; ratios are measured on "
    "seeds 100, 101, ... A row `above target` is of a baseline that never meets it "
    "and enters at its most accurate setting, or that misses it on the measured seeds "
    "alone; both favour the baseline.",
    "Compiling is timed in a process that has done nothing else, without and with a "
    "filled cache. Memory is the highest resident set of such a process above what "
    "libraries and data hold, compiling included. Evaluations are full-batch "
    "gradients a seed.",
    "Open marks are settings tried on the tuning seeds, filled ones those compared.",
)


def write_report(rows: Sequence[Row], points: Sequence[Point], out: Path) -> list[Path]:
    """Write ``bench.json``, the figure with its data, and the page.

    Args:
        rows: what was measured.
        points: settings tried.
        out: the folder of all figures.

    Returns:
        The paths of the figure.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = out / "benchmarks"
    plain = [row.plain() for row in rows]
    drawn = []
    if points:
        about = provenance({"benchmarks": sorted({row.name for row in rows})})
        table = tabulate(rows, points).assign_attrs(**about, plot=FIGURE)
        drawn = draw(write(table, folder / "data" / f"{FIGURE}.nc"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(plain, indent=1) + "\n", "utf-8")
    page = [
        "# Speed at equal error",
        "",
        "Written by `jaxbias bench`; measure again, do not edit.",
        "",
        *lines(plain),
        "",
        *_doubts(rows),
        *([f"![error against time]({FIGURE}.png)", ""] if drawn else []),
        "## Rules",
        "",
        *(f"- {rule}" for rule in _RULES),
        "",
        "## Names",
        "",
        *(f"- `{name}`: {text}" for name, text in (BENCHMARKS | BASELINES).items()),
    ]
    (folder / "README.md").write_text("\n".join(page) + "\n", "utf-8")
    return drawn


def _doubts(rows: Sequence[Row]) -> list[str]:
    """What is known of the error of the reference solutions."""
    known = {row.name: row.reference_error for row in rows if row.reference_error}
    if not known:
        return []
    each = ", ".join(f"{name} {error:.1e}" for name, error in known.items())
    return [f"Reference solutions against three times looser ones: {each}.", ""]


def tabulate(rows: Sequence[Row], points: Sequence[Point]) -> xr.Dataset:
    """Tried settings and compared ones, one point each."""
    columns: list[tuple] = [(p.name, p.method, p.seconds, p.error, 0) for p in points]
    for row in rows:
        if row.ratio is not None:
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
