"""Rows of the suite as text: for a terminal, for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = (
    "benchmark",
    "rule",
    "baseline",
    "ratio",
    "spread",
    "seconds",
    "baseline seconds",
    "error",
    "baseline error",
    "loss error",
    "baseline loss error",
    "evaluations",
    "compile cold/warm",
    "peak MB",
    "baseline setting",
    "status",
)


def cells(row: Mapping[str, Any]) -> list[str]:
    """One row's text, column by column."""
    if row["ratio"] is None:
        named = [row["name"], row.get("rule") or "", row["baseline"]]
        return [*named, *[""] * (len(COLUMNS) - 4), row["status"]]
    return [
        row["name"],
        row.get("rule") or "",
        row["baseline"],
        f"{row['ratio']:.3g}",
        f"{row['ratio_low']:.3g} .. {row['ratio_high']:.3g}",
        f"{row['seconds']:.3g}",
        f"{row['baseline_seconds']:.3g}",
        _number(row["error"], ".1e"),
        _number(row["baseline_error"], ".1e"),
        _number(row.get("loss_error"), ".1%"),
        _number(row.get("baseline_loss_error"), ".1%"),
        " / ".join(
            _number(row[name], ".0f")
            for name in ("evaluations", "baseline_evaluations")
        ),
        f"{row['compile_cold']:.2f} / {row['compile_warm']:.2f} s",
        " / ".join(
            _number(row[name], ".0f")
            for name in ("peak_megabytes", "baseline_peak_megabytes")
        ),
        row["baseline_setting"],
        row["status"],
    ]


def _number(value: float | None, form: str) -> str:
    """A dash where nothing finite was measured or counted."""
    return "-" if value is None else format(value, form)


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A Markdown table whose columns line up."""
    table = [list(COLUMNS), *(cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in table
    ]
    return [text[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *text[1:]]
