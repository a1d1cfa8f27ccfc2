"""``python -m jaxbias.benchmarks``: the suite where only the compute floors are.

What ``jaxbias bench`` measures, without its figures, tables and the packages they need.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from jaxbias._checks import InputError
from jaxbias.benchmarks.names import BASELINES, BENCHMARKS
from jaxbias.benchmarks.table import lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status of ``jaxbias bench``."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxbias.benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--baseline", action="append", help=", ".join(BASELINES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    from jaxbias.benchmarks.suite import OURS_ABOVE, bench

    rows, stopped = [], False

    def keep(so_far, _):
        rows[:] = so_far

    try:
        bench(
            options.names,
            baselines=options.baseline or (),
            rounds=options.rounds,
            progress=lambda _, __, text: print(text, file=sys.stderr),
            keep=keep,
        )
    except InputError as error:
        print("jaxbias:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jaxbias: stopped", file=sys.stderr)
        stopped = True
    plain = [row.plain() for row in rows]
    print(json.dumps(plain, indent=1) if options.json else "\n".join(lines(plain)))
    return 130 if stopped else int(any(row.status == OURS_ABOVE for row in rows))


if __name__ == "__main__":
    sys.exit(main())
