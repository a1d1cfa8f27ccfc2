"""Numbers and lists of numbers, short enough for a table."""

import math
import numbers
from collections.abc import Iterable
from typing import Any


def brief(value: Any) -> str:
    """A number, a range of numbers or a word, short enough for a table.

    Example:
        >>> brief([0.70712, 0.70698, 0.7071]), brief(None), brief(3)
        ('0.707 .. 0.7071', '-', '3')
    """
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return ", ".join(f"{name} {brief(item)}" for name, item in value.items())
    if isinstance(value, Iterable):
        return _range(list(_flat(value)))
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{float(value):.4g}"
    return str(value)


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        nested = isinstance(value, Iterable) and not isinstance(value, str | dict)
        yield from _flat(value) if nested else (value,)


def _range(values: list[Any]) -> str:
    if any(isinstance(value, str | dict) for value in values):
        return ", ".join(dict.fromkeys(map(brief, values)))
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return "-"
    low, high = brief(min(finite)), brief(max(finite))
    missing = len(values) - len(finite)
    return (low if low == high else f"{low} .. {high}") + (
        f", {missing} missing" if missing else ""
    )
