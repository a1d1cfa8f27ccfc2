"""What the command prints: tables, one-line errors, progress."""

import contextlib
import json
import math
import re
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jaxbias._format import brief

_WIDTH_OF_A_FILE = 150
_WIDTH_FOR_WHOLE_NAMES = 120
_SECONDS_BETWEEN_LINES = 5.0


def one_line(framed: str) -> str:
    """The text of a framed message on one line, its parts separated by semicolons.

    The frame is drawn with box characters, and with hyphens and spaces where the
    terminal has no others; its title is left out.
    """
    drawn = "╭" in framed
    parts: list[list[str]] = [[]]
    for line in framed.splitlines():
        text = line.strip("│ ")
        if re.fullmatch("[─-]+", text):
            parts.append([])
        elif text and text[0] not in "╭╰":
            parts[-1].append(text)
    told = [" ".join(part).rstrip(".") for part in parts[0 if drawn else 1 :] if part]
    return "; ".join(told) or " ".join(framed.split())


@contextlib.contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Warnings on standard error as errors are: one line, without a place in code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(
            "jaxbias: warning:", " ".join(str(message).split()), file=sys.stderr
        )
        yield


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]):
    """A table on standard output, as wide as the terminal or as a page."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        # Names are to be copied: on a page or a wide terminal they stay in one piece.
        whole = number == 0 and console.width >= _WIDTH_FOR_WHOLE_NAMES
        table.add_column(column, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # Where a reader has left, rich would end the process with a status of its own.
    with console.capture() as drawn:
        console.print(table)
    print(drawn.get(), end="")


def print_json(document: Any) -> None:
    """One JSON document on standard output; what JSON cannot hold becomes null."""
    print(json.dumps(_plain(document), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def as_expected(row: dict[str, Any]) -> bool:
    """Whether a verdict is the one its theory leads to expect, and bites if asked."""
    return row.get("as_expected", row["verdict"] == row["expected"])


def worst_case(row: dict[str, Any]) -> str:
    """The evidence interval of the case nearest to failing, or failing most."""
    cases = [_pairs(row.get(name)) for name in ("interval", "acceptance")]
    worst, least = "-", math.inf
    for (low, high), (below, above) in zip(*cases, strict=False):
        if low is None or high is None:
            return "unfinished"
        slack = min(
            math.inf if below is None else low - below,
            math.inf if above is None else above - high,
        )
        if slack < least:
            worst, least = f"[{brief(low)}, {brief(high)}]", slack
    return worst


def _pairs(ends: Any) -> list[list[Any]]:
    # A row with one case holds its interval itself, not a list of one.
    if not ends:
        return []
    return ends if isinstance(ends[0], list) else [ends]


def verdict_cell(row: dict[str, Any]) -> str:
    """The verdict, and what is wrong with it if it is not the expected one."""
    if row["verdict"] != row["expected"]:
        return f"{row['verdict']} (expected: {row['expected']})"
    return row["verdict"] if as_expected(row) else f"{row['verdict']} (a decoy passed)"


def print_verdicts(rows: Sequence[dict[str, Any]]) -> None:
    """The verdicts as a table, and in a sentence or two how many are as expected."""
    print_table(
        "",
        ("claim", "verdict", "measured", "predicted", "worst case", "seeds"),
        (
            (
                row["claim"],
                verdict_cell(row),
                brief(row.get("measured")),
                brief(row.get("predicted")),
                worst_case(row),
                brief(row.get("seeds")),
            )
            for row in rows
        ),
    )
    good = sum(map(as_expected, rows))
    print(f"{good} of {len(rows)} verdicts as expected.")
    tried = [row["teeth"] for row in rows if row.get("teeth") is not None]
    if tried:
        print(f"Wrong predictions: {sum(tried)} of {len(tried)} claims refused theirs.")
    for row in rows:
        if row.get("teeth") is False:
            print(f"{row['claim']}: a wrong prediction was not refused.")


class Progress:
    """Says on standard error how far a computation is.

    A bar where standard error is a terminal, and otherwise a line for each new task
    and at most one every few seconds within it.
    """

    def __init__(self):
        self._bar: Any = None
        self._task: Any = None
        self._last = -math.inf
        self._what = ""

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("starting", total=None)
            self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Report that ``done`` of ``total`` parts of a task are finished."""
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=done, total=total)
            return
        now = time.monotonic()
        fresh = what != self._what or done == total
        if fresh or now - self._last > _SECONDS_BETWEEN_LINES:
            self._what, self._last = what, now
            print(f"{done}/{total} {what}", file=sys.stderr, flush=True)
