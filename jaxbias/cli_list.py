"""What `jaxbias list` prints, and the names that other commands accept."""

import difflib
import functools
import importlib.resources
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from jaxbias._checks import InputError
from jaxbias._format import brief
from jaxbias.cli_output import print_json, print_table

#: What is listed, the word for one of them, and its columns; the first one is its name.
_KINDS = {
    "studies": ("study", ("name", "description")),
    "claims": ("claim", ("id", "expected", "kind", "statement")),
    "figures": ("figure", ("name", "description")),
    "benchmarks": ("benchmark", ("name", "description")),
}
_LEAST_LIKENESS = 0.4


@functools.cache
def index() -> dict[str, list[dict[str, Any]]]:
    """Studies, claims, figures and benchmarks, from the generated catalogue."""
    path = importlib.resources.files("jaxbias").joinpath("_catalogue.json")
    return json.loads(path.read_text("utf-8"))


def study_names(main: bool = False) -> list[str]:
    """Names of the studies, or of those marked as main."""
    return [s["name"] for s in index()["studies"] if s["main"] or not main]


def known(kind: str, name: str, options: Iterable[str]) -> None:
    """Refuse a name that `jaxbias list` does not show, and offer the closest."""
    options = list(options)
    if name not in options:
        fixes = _close(name, options) or ["jaxbias list"]
        raise InputError(
            f"{kind} {name!r}", f"there is no {kind} of that name", " or ".join(fixes)
        )


def entries(what: str, prefix: str = "") -> list[dict[str, Any]]:
    """Entries of one kind whose name begins with a prefix; claims of a study too.

    Raises:
        InputError: there is no such kind, or nothing begins so.
    """
    if what not in _KINDS:
        raise _no_such_kind(what)
    one, (name, *_) = _KINDS[what]
    found = [
        entry
        for entry in index()[what]
        if entry[name].startswith(prefix) or entry.get("study") == prefix
    ]
    if not found:
        # A name alone, without its source, is the commonest slip.
        options: dict[str, str] = {}
        for entry in index()[what]:
            source, _, tail = entry[name].rpartition("/")
            options |= {entry[name]: entry[name], tail: entry[name]}
            options |= {source: source} if source else {}
        options |= {s: s for s in study_names() if what == "claims"}
        close = dict.fromkeys(options[text] for text in _close(prefix, options))
        fixes = [f"jaxbias list {what} {text}" for text in close]
        raise InputError(
            f"prefix {prefix!r}",
            f"the name of no {one} begins so",
            " or ".join(fixes or [f"jaxbias list {what}"]),
        )
    return found


def _no_such_kind(what: str) -> InputError:
    fixes = [f"jaxbias list {kind}" for kind in _close(what, _KINDS)]
    for kind, (_, (name, *_)) in _KINDS.items():
        if any(entry[name].startswith(what) for entry in index()[kind]):
            fixes.insert(0, f"jaxbias list {kind} {what}")
    return InputError(
        f"list {what}",
        f"listed are {', '.join(_KINDS)}",
        " or ".join(fixes[:3] or ["jaxbias list claims"]),
    )


def _close(name: str, options: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, options, n=3, cutoff=_LEAST_LIKENESS)


def show(what: str | None, prefix: str | None, as_json: bool) -> None:
    """Print the summary, or the entries of one kind.

    Raises:
        InputError: as for `entries`.
    """
    if what is None:
        if as_json:
            print_json(index())
        else:
            print("\n".join(summary()))
        return
    found = entries(what, prefix or "")
    if as_json:
        print_json(found)
        return
    columns = _KINDS[what][1]
    if what == "claims" and not prefix:
        # A line for each: statements fill several.
        columns = columns[:-1]
    print_table(what, columns, ([brief(e[c]) for c in columns] for e in found))


def summary() -> list[str]:
    """How many of each kind there are, by source or study, and how to see them."""
    lines = []
    for what, (_, (name, *_)) in _KINDS.items():
        names = [entry[name] for entry in index()[what]]
        lines.append(f"{len(names)} {what} (jaxbias list {what})")
        sources = Counter(full.partition("/")[0] for full in names)
        if len(sources) == len(names):
            lines.append("  " + ", ".join(names))
        else:
            lines += [f"  {source}/: {count}" for source, count in sources.items()]
    lines.append("With the beginning of a name after it, only those that begin so.")
    return lines
