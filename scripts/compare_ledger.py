"""What differs between the golden table of the ledger and a run of it.

    jaxbias verify --json --teeth >rows.json      or several files, in any order
    python scripts/compare_ledger.py rows.json    compare; exit status 1 if one moved
    python scripts/compare_ledger.py rows.json --write    make them the golden rows

A row has moved if its root, level, verdict or conclusion is another one, or if an end
of its interval or acceptance has changed by more than the numerical errors of both rows
and rounding explain. Claims that the rows do not speak of stay as they are.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "ledger.json"
WORDS = ("seed_root", "alpha", "verdict", "expected", "conclusion", "teeth")
COUNTS = ("seeds", "failed")
ENDS = ("interval", "acceptance")
#: Digits that are kept of every number, and the relative size of what they drop.
DIGITS, ROUNDING = 9, 2e-8


def golden_row(row):
    """The part of a row of `verify --json` that is compared, its numbers rounded."""
    kept = (*WORDS, *COUNTS, "numerical_error", *ENDS)
    return {"claim": row["claim"], **{name: rounded(row.get(name)) for name in kept}}


def rounded(value):
    """Plain data with its numbers at nine digits."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}")
    return value


def differences(old, new):
    """Lines that say what differs between two rows of one claim, and by how much."""
    lines = [
        f"{name}: {old.get(name)} -> {new.get(name)}"
        for name in (*WORDS, *COUNTS)
        if old.get(name) != new.get(name)
    ]
    slack = sum(row.get("numerical_error") or 0.0 for row in (old, new))
    for name in ENDS:
        lines += ends_moved(name, old.get(name), new.get(name), slack)
    return lines


def ends_moved(name, old, new, slack):
    """One line if ends have moved by more than ``slack`` and rounding."""
    before, after = (np.array(ends, float) for ends in (old, new))
    if before.shape != after.shape:
        return [f"{name}: {before.shape} -> {after.shape} numbers"]
    finite = np.isfinite(before)
    if (finite != np.isfinite(after)).any():
        return [f"{name}: an end is open in one of the two only"]
    if not finite.any():
        return []
    moved = np.abs(np.where(finite, after - before, 0.0))
    if not (moved > slack + ROUNDING * np.abs(np.where(finite, before, 0.0))).any():
        return []
    worst = np.unravel_index(np.argmax(moved), moved.shape)
    scale = np.max(np.abs(before[finite])) or 1.0
    return [
        f"{name}: {before[worst]:.6g} -> {after[worst]:.6g},"
        f" {moved[worst] / scale:.2g} of the largest"
        f" ({np.count_nonzero(moved > slack)} of {finite.sum()} ends)"
    ]


def compare(old, new):
    """Lines by claim, for every claim of ``new`` that differs from its golden row."""
    found = {}
    for claim, row in new.items():
        if claim not in old:
            found[claim] = ["is new"]
        elif lines := differences(old[claim], row):
            found[claim] = lines
    return found


def read_rows(paths):
    """Golden rows by claim, of files that `verify --json` has printed."""
    rows = {}
    for path in paths:
        try:
            read = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(read, list):
                raise TypeError(f"a {type(read).__name__}, not a list")
            rows |= {row["claim"]: golden_row(row) for row in read}
        except (OSError, ValueError, TypeError, KeyError) as error:
            print(
                f"got: {path}, which holds no rows ({error}); try jaxbias verify --json"
                f" >{path}",
                file=sys.stderr,
            )
            raise SystemExit(2) from None
    return rows


def text_of(rows):
    """The golden table: JSON with a line a claim."""
    lines = (json.dumps(rows[claim], separators=(",", ":")) for claim in sorted(rows))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def main():
    """Compare, or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="+", help="files of `jaxbias verify --json`")
    parser.add_argument("--golden", default=str(GOLDEN), help="the golden table")
    parser.add_argument("--write", action="store_true", help="replace its rows")
    arguments = parser.parse_args()
    new = read_rows(arguments.rows)
    old = read_rows([arguments.golden]) if Path(arguments.golden).exists() else {}
    found = compare(old, new)
    for claim, lines in found.items():
        print(claim, *lines, sep="\n    ")
    silent = len(set(old) - set(new))
    print(
        f"{len(new) - len(found)} of {len(new)} rows as they were, {len(found)} moved,"
        f" {silent} golden rows without a new one"
    )
    if arguments.write:
        Path(arguments.golden).write_text(text_of(old | new), encoding="utf-8")
        return 0
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
