"""Axes of a sweep: text to values, names to fields. Free of JAX."""

import dataclasses
import difflib
import importlib
import itertools
import math
import numbers
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from jaxbias._checks import InputError, positive_int, told, unmasked
from jaxbias.experiments.fields import field_paths, get_at, replace_at

_WORDS = {"true": True, "false": False, "none": None}
_MAX_SEED = 2**32 - 1
# Runs of a sweep and values of an axis that a table and a plan still hold.
MOST_RUNS, _MOST_VALUES = 10_000_000, 10_000
# A whole number is not written with a leading zero, but "0,05" is split into it.
_DECIMAL_COMMA = re.compile(r"[+-]?0\d+")
# Two parts without a point, which one decimal comma may have made of one number.
_HALVES = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


def parse_over(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Axes from the command line: ``NAME=VALUES`` each.

    Values are a list (``width=32,128,512``), evenly spaced (``noise=0.05:0.3:6``,
    first to last, how many) or evenly spaced in the logarithm
    (``scale=1e-7:1e-3:5:log``).

    Raises:
        InputError: The text is none of these, or an axis is given twice.
    """
    over: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not (name and equals and values):
            raise _bad_axis(text, "an axis is a name, an equals sign and values")
        if name in over:
            raise _bad_axis(text, f"the axis {name!r} is given twice")
        over[name] = _spaced(text, values) if ":" in values else _listed(text, values)
    return over


def _bad_axis(text: str, why: str) -> InputError:
    examples = "width=32,128,512 or noise=0.05:0.3:6 or scale=1e-7:1e-3:5:log"
    return InputError(f"axis {text!r}", why, examples)


def _listed(text: str, values: str) -> list[Any]:
    parts = [part.strip() for part in values.split(",")]
    if "" in parts:
        raise _bad_axis(text, "a value between commas is missing")
    for part in parts:
        if _DECIMAL_COMMA.fullmatch(part):
            raise InputError(
                f"axis {text!r}",
                f"{part!r} begins with 0 like the end of a number with a decimal "
                "comma, and commas stand between values",
                _with_points(text.partition("=")[0].strip(), parts),
            )
    return [_value(part) for part in parts]


def _with_points(name: str, parts: list[str]) -> str:
    """The axis with a decimal point, where that makes one number of two parts."""
    if len(parts) == 2 and _HALVES.fullmatch(",".join(parts)):
        return f"{name}={'.'.join(parts)}"
    return f"{name}=0.05,0.1"


def no_decimal_commas(flow: Any, texts: Iterable[str]) -> None:
    """Refuse values of a fractional field that could be halves of one number.

    ``noise=0,15`` is one number to half of the world. Whole numbers that rise, more
    than two of them, are a list.

    Raises:
        InputError: Such an axis, or one of no field.
    """
    for text in texts:
        name, _, values = (part.strip() for part in text.partition("="))
        parts = [part.strip() for part in values.split(",")]
        pairs = [",".join(parts[i : i + 2]) for i in range(0, len(parts), 2)]
        if not all(map(_HALVES.fullmatch, pairs)):
            continue
        numbered = [float(part) for part in parts]
        if len(parts) > 2 and numbered == sorted(numbered):
            continue
        if not isinstance(get_at(flow, resolve_path(flow, name)), float):
            continue
        one = ",".join(pair.replace(",", ".") for pair in pairs)
        several = ",".join(p if "e" in p.lower() else f"{p}.0" for p in parts)
        raise InputError(
            f"axis {text!r}",
            f"{pairs[0]!r} may be two values, or one with a decimal comma",
            f"{name}={one} or {name}={several}",
        )


def _spaced(text: str, values: str) -> list[Any]:
    parts = [part.strip() for part in values.split(":")]
    logarithmic = len(parts) == 4 and parts[3] == "log"
    if not (len(parts) == 3 or logarithmic):
        raise _bad_axis(text, "a range is FIRST:LAST:COUNT or FIRST:LAST:COUNT:log")
    first, last, count = (_value(part) for part in parts[:3])
    finite = all(
        isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v)
        for v in (first, last)
    )
    counted = isinstance(count, int) and 2 <= count <= _MOST_VALUES
    if not (finite and counted):
        why = f"a range has two numbers and a count from 2 to {_MOST_VALUES:,}"
        raise _bad_axis(text, why)
    if logarithmic and not (first > 0 and last > 0):
        raise _bad_axis(text, "a logarithmic range has positive ends")
    spaced = np.geomspace if logarithmic else np.linspace
    return spaced(first, last, count).tolist()


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return _WORDS.get(text.lower(), text)


def parse_shard(shard: str | tuple[int, int] | None) -> tuple[int, int]:
    """``"2/3"`` as (1, 3): which of how many parts, counted from 0.

    Raises:
        InputError: The text is no such fraction, or the part does not exist.
    """
    if shard is None:
        return 0, 1
    parts = shard.split("/") if isinstance(shard, str) else list(shard)
    try:
        part, total = (int(p) for p in parts)
    except ValueError:
        part, total = 0, 0
    if not 1 <= part <= total:
        raise InputError(
            f"shard={shard!r}",
            "it says which of how many parts to run, counted from 1",
            "shard='1/4'",
        )
    return part - 1, total


def seed_list(seeds: Any) -> tuple[int, ...]:
    """The seeds: ``0 .. seeds - 1`` for a number, or those of a sequence.

    Raises:
        InputError: There are none or too many, one occurs twice, or one is no integer
            in [0, 2^32).
    """
    if isinstance(seeds, numbers.Integral):
        positive_int("seeds", seeds)
        seeds = range(int(seeds))
    unmasked("seeds", seeds)
    shown = " ".join(repr(seeds).split())
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    try:
        several = iter(seeds)
    except TypeError:
        several = iter(())
    listed = list(itertools.islice(several, MOST_RUNS + 1))
    if len(listed) > MOST_RUNS:
        raise InputError(
            f"seeds={shown}",
            f"a sweep has at most {MOST_RUNS:,} runs",
            "seeds=range(100, 108), and others in another folder",
        )
    whole = all(
        isinstance(s, numbers.Integral) and not isinstance(s, bool) for s in listed
    )
    if not (listed and whole and all(0 <= s <= _MAX_SEED for s in listed)):
        raise InputError(
            f"seeds={shown}",
            "seeds are integers from 0 to 2^32 - 1, at least one",
            "seeds=16 or seeds=range(100, 108)",
        )
    if len(set(listed)) < len(listed):
        raise InputError(
            f"seeds={shown}",
            "a seed that occurs twice would count the same run twice",
            "distinct seeds",
        )
    return tuple(int(s) for s in listed)


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis: its name in the table, the field it sets, and the values."""

    name: str
    path: str
    values: tuple[Any, ...]

    def labels(self) -> list[Any]:
        """The values as the table shows them: numbers and strings."""
        return [label(value) for value in self.values]


def label(value: Any) -> Any:
    """A number or string as it is; an object by its registered name or its call."""
    if isinstance(value, numbers.Number | str):
        return value
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else repr(value)


def resolve_path(spec: Any, name: str) -> str:
    """The one field that a bare or dotted name means.

    Raises:
        InputError: No field matches, or more than one does; they are listed.
    """
    paths = list(field_paths(spec))
    matches = [p for p in paths if p == name or p.endswith("." + name)]
    exact = [p for p in matches if p == name]
    if len(matches) == 1 or (exact and "." in name):
        return (exact or matches)[0]
    if not matches:
        ends = {p.rsplit(".", 1)[-1]: p for p in paths}
        close = difflib.get_close_matches(name.rsplit(".", 1)[-1], ends, n=3)
        raise InputError(
            f"axis {name!r}",
            f"no field has that name; there are {', '.join(paths)}",
            " or ".join(repr(c) for c in close or list(ends)[:1]),
        )
    raise InputError(
        f"axis {name!r}",
        f"{len(matches)} fields have that name",
        " or ".join(map(repr, matches)),
    )


def named_axes(over: Any) -> None:
    """Refuse anything but a dictionary from names.

    Raises:
        InputError: for anything else.
    """
    if not isinstance(over, Mapping) or not all(isinstance(n, str) for n in over):
        raise InputError(
            f"over={told(over)}",
            "axes are a dictionary from names of fields to their values",
            "over={'width': [32, 128]}",
        )


def resolve_axes(
    experiment: Any, over: Mapping[str, Any], taken: Iterable[str] = ()
) -> tuple[Axis, ...]:
    """The axes of a sweep over an experiment's fields, checked value by value.

    Args:
        experiment: Whose fields are swept.
        over: Values by bare name (``width``) or dotted path (``network.width``).
        taken: Names of variables, which no axis may have; an axis that would is
            called by its path, or ``axis_`` and that.

    Raises:
        InputError: A name fits no field or several, an axis has no values or one
            twice, or a value is of the wrong kind or refused by
            the experiment.
    """
    named_axes(over)
    axes: list[Axis] = []
    taken = set(taken)
    for name, values in over.items():
        path = resolve_path(experiment, name)
        current = get_at(experiment, path)
        many = isinstance(values, Iterable) and not isinstance(values, str)
        many = many and getattr(values, "ndim", 1) > 0
        unmasked(name, values)
        found = tuple(_cast(name, v, current) for v in values) if many else ()
        if not found:
            raise InputError(
                f"over={{{name!r}: {told(values)}}}",
                "an axis is a sequence of at least one value",
                f"over={{{name!r}: [{current!r}]}}",
            )
        if any(value in found[:i] for i, value in enumerate(found)):
            raise InputError(
                f"over={{{name!r}: {told(list(values))}}}",
                "a value that occurs twice would count the same runs twice",
                "distinct values",
            )
        short = path.rsplit(".", 1)[-1]
        short = path.replace(".", "_") if short in taken else short
        short = f"axis_{short}" if short in taken else short
        if any(path == axis.path for axis in axes):
            raise InputError(
                f"axis {name!r}", f"{path!r} is swept already", "one axis for a field"
            )
        taken.add(short)
        axes.append(Axis(short, path, found))
    return tuple(axes)


def _cast(name: str, value: Any, current: Any) -> Any:
    """The value in the kind of the field's current one."""
    if isinstance(value, np.generic):
        value = value.item()
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if isinstance(value, numbers.Integral) and abs(int(value)) > sys.float_info.max:
        # No float is as large, and nothing here is counted in such numbers.
        number = False
    if isinstance(current, bool) or not isinstance(current, numbers.Number):
        if isinstance(value, str) and hasattr(current, "slope_at_zero"):
            return importlib.import_module("jaxbias.losses").named(value)
        fits = current is None or isinstance(value, _kind(current))
        wanted = f"a {_kind(current).__name__}"
    elif isinstance(current, numbers.Integral):
        whole = isinstance(value, numbers.Integral)
        fits = number and (whole or float(value).is_integer())
        wanted = "a whole number"
        # Not by way of a float, which drops digits beyond 2^53.
        value = int(cast(Any, value)) if fits else value
    else:
        fits, wanted = number, "a number"
        value = float(value) if fits else value
    if not fits:
        raise InputError(
            f"{name}={told(value)}",
            f"the field holds {wanted}",
            f"{name}={told(current)}",
        )
    return value


def _kind(current: Any) -> type:
    """The class that a field's values share: its abstract base where it has one."""
    bases = [b for b in type(current).__mro__ if b.__module__.startswith("jaxbias")]
    return bases[-1] if bases else type(current)


def points(experiment: Any, axes: Sequence[Axis]) -> list[tuple[tuple[Any, ...], Any]]:
    """Every point of the grid: its values and the experiment that has them.

    Raises:
        InputError: The experiment refuses a combination of values, or there are too
            many.
    """
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_RUNS:
        raise InputError(
            f"a grid of {count:,} points",
            f"a sweep has at most {MOST_RUNS:,} runs",
            "fewer values, or shares of them in folders of their own",
        )
    grid = []
    for values in itertools.product(*(axis.values for axis in axes)):
        here = experiment
        for axis, value in zip(axes, values, strict=True):
            here = replace_at(here, axis.path, value)
        grid.append((values, here))
    return grid
