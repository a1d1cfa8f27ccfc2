"""Tables of numbers in text files: separators, headers, and cells that are none."""

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

from jaxbias._checks import InputError, reason
from jaxbias.cli_table import CELL, SAVE, Table

_SEPARATORS = "\t;,"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")


def read_table(path: Path, source: str, infinite: bool = False) -> Table:
    """The table in a text file, its cells separated by commas, semicolons or tabs.

    The first line is a header where a cell of it is no number.

    Args:
        path: the file.
        source: how messages name it.
        infinite: whether cells may be infinite, as ends of a box may.

    Raises:
        InputError: for no text, no rows, rows of several lengths, and cells that are
            no finite numbers, by line and column.
    """
    import numpy as np

    text = _text(path, source)
    separator = _separator(text)
    rows, lines = _rows(text, separator, source)
    names = _header(rows, lines, source)
    if not rows:
        raise InputError(source, "it has no rows of numbers", SAVE)
    width = len(rows[0] if names is None else names)
    values = []
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise InputError(
                f"{source}, line {line} of {len(row)} cells",
                f"the {'rows before have' if names is None else 'header has'} {width}; "
                f"cells are separated by {_spelled(separator)}",
                SAVE,
            )
        try:
            numbers = [float(cell) for cell in row]
        except ValueError:
            numbers = [math.nan]
        fine = all(map(math.isfinite, numbers))
        if infinite:
            fine = not any(map(math.isnan, numbers))
        if not fine or any("_" in cell for cell in row):
            raise _no_number(row, line, names, source, infinite)
        values.append(numbers)
    return Table(source, names, np.array(values, float), lines)


def _text(path: Path, source: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise InputError(source, why, "another path") from error
    if content.startswith(_WIDE):
        raise InputError(source, "it is text in UTF-16", "the same table in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            source,
            f"it is neither an .npz nor a table in UTF-8 (byte "
            f"{content[error.start]:#04x} in line {line})",
            SAVE,
        ) from error
    if "\0" in text:
        raise InputError(source, "it is neither an .npz nor a table of text", SAVE)
    return text


def _separator(text: str) -> str:
    """A tab before a semicolon before a comma, which may be a decimal one."""
    first = next((line for line in text.splitlines() if line.strip(" \r#")), "")
    outside = re.sub(r'"[^"]*"', "", first)
    return next((mark for mark in _SEPARATORS if mark in outside), ",")


def _rows(text: str, separator: str, source: str) -> tuple[list[list[str]], list[int]]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True
    )
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(
            source, f"line {reader.line_num} is no row ({reason(error)})", SAVE
        ) from error
    return rows, lines


def _header(rows: list[list[str]], lines: list[int], source: str) -> list[str] | None:
    """Names of columns, taken off the rows; NumPy writes them behind a #."""
    commented = 0
    while commented < len(rows) and rows[commented][0].lstrip().startswith("#"):
        commented += 1
    after = len(rows[commented]) if commented < len(rows) else 0
    if commented and (
        after != len(rows[commented - 1])
        or (commented < len(rows) and not _all_numbers(rows[commented]))
    ):
        del rows[:commented], lines[:commented]
        commented = 0
    if commented:
        names = rows[commented - 1]
        names = [names[0].lstrip(" \t#"), *names[1:]]
        del rows[:commented], lines[:commented]
    elif rows and not _all_numbers(rows[0]):
        if all(_number_like(cell) for cell in rows[0]):
            raise _no_number(rows[0], lines[0], None, source)
        names = rows.pop(0)
        lines.pop(0)
    else:
        return None
    names = [name.strip(" \t\"'") for name in names]
    if names[0] in ("", "Unnamed: 0"):
        raise InputError(
            f"{source}, whose first column has no name",
            "pandas writes the numbers of rows so, and they are no feature",
            "table.to_csv(path, index=False)",
        )
    return names


def _all_numbers(row: Sequence[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False


def _number_like(cell: str) -> bool:
    """Whether a cell is no name: a number, a decimal comma, numbers between spaces."""
    return bool(_DECIMAL_COMMA.fullmatch(cell)) or _all_numbers(cell.split())


def _no_number(
    row: list[str],
    line: int,
    names: list[str] | None,
    source: str,
    infinite: bool = False,
) -> InputError:
    bad = math.isnan if infinite else lambda number: not math.isfinite(number)
    place, cell = next(
        (place, cell)
        for place, cell in enumerate(row)
        if not _all_numbers([cell]) or "_" in cell or bad(float(cell))
    )
    column = place if names is None else repr(names[place][:CELL])
    where = f"{source}, line {line}, column {column}"
    if _DECIMAL_COMMA.fullmatch(cell):
        return InputError(
            f"{where} with {cell.strip()[:CELL]!r}",
            "it has a decimal comma",
            f"decimal points, as in {cell.strip()[:CELL].replace(',', '.')}",
        )
    if not cell.strip():
        return InputError(where, "the cell is empty", "a file without such rows")
    if len(cell.split()) > 1 and _all_numbers(cell.split()):
        return InputError(
            f"{where} with {cell.strip()[:CELL]!r}",
            "spaces do not separate cells",
            "commas, semicolons or tabs between the numbers",
        )
    if _all_numbers([cell]) and "_" not in cell:
        return InputError(
            f"{where} with {cell.strip()[:CELL]!r}",
            "NaN or infinite, and no distance is defined there",
            "a file without such rows",
        )
    return InputError(
        f"{where} with {cell.strip()[:CELL]!r}",
        "it is no number; labels are numbers too, +1 and -1 or 0, 1, 2, ...",
        "numbers in every cell below the header",
    )


def _spelled(separator: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs"}[separator]
