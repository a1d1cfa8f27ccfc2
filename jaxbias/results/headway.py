"""How far the sweep in a folder is."""

import calendar
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from jaxbias._checks import InputError
from jaxbias.results import store
from jaxbias.results.glance import glance
from jaxbias.results.locks import work_in
from jaxbias.results.outcomes import is_finished, outcomes
from jaxbias.results.planned import points_of_seeds

_READ = ("status", "inaccurate", "seed")
# A gap between two files that is so much longer than usual is a pause of the work.
_PAUSE = 10.0
# Files say when they were written in whole seconds.
_LEAST_SPAN = 5.0


def headway(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """How far a running, stopped or finished sweep is.

    Args:
        folder: What was given to ``jaxbias.sweep(out=...)``.

    Returns:
        ``folder``; ``batches``, ``batches_written``, ``batches_missing`` and
        ``batches_at_work``; ``runs_planned``, ``runs_written``, ``runs_unfinished``
        (written, but stopped before their last time), ``statuses`` (runs by how they
        ended) and ``inaccurate`` (of the finished ones); ``seeds_planned`` and
        ``seeds_complete`` (at every point); ``at_work``, whether a process is at work
        in the folder now; ``last_written`` (UTC); ``runs_per_second`` of the last
        stretch of work and the ``seconds_left`` at that rate, both about;
        ``wall_seconds`` spent and ``bytes`` on disk. None is what cannot be told.

    Raises:
        InputError: There is no sweep in the folder, or a file of it is corrupt or
            belongs to another sweep.
    """
    folder = Path(folder)
    manifest = store.read_manifest(folder)
    if manifest is None:
        raise InputError(
            f"folder {str(folder)!r}",
            "no sweep has begun there",
            f"jaxbias sweep STUDY --out {folder}",
        )
    files = [folder / name for name in manifest["files"]]
    there = [file for file in files if file.exists()]
    tables = [glance(file, _READ, manifest) for file in there]
    seeds: Counter[int] = Counter()
    ended: Counter[str] = Counter()
    for table in tables:
        ended += outcomes(table)
        seeds.update(table["seed"].values.tolist() if "seed" in table else ())
    points = points_of_seeds(manifest)
    complete = sum(seeds[s] >= n for s, n in points.items()) if points else None
    planned = sum(points.values()) if points else None
    runs = [table["status"].size for table in tables]
    stamps = [_written(*pair) for pair in zip(there, tables, strict=True)]
    pace = rate(stamps, runs)
    left = None if planned is None else planned - sum(runs)
    work = work_in(folder, len(files))
    return {
        "folder": str(folder),
        "batches": len(files),
        "batches_written": len(there),
        "batches_missing": len(files) - len(there),
        "batches_at_work": work.batches,
        "runs_planned": planned,
        "runs_written": sum(runs),
        "runs_unfinished": sum(int((~is_finished(t)).sum()) for t in tables),
        "statuses": dict(ended),
        "inaccurate": sum(map(_inaccurate, tables)),
        "seeds_planned": len(points) if points else None,
        "seeds_complete": complete,
        "at_work": work.present,
        "last_written": _utc(max(stamps)) if stamps else None,
        "runs_per_second": pace,
        "seconds_left": None if pace is None or left is None else left / pace,
        "wall_seconds": sum(t.attrs.get("wall_seconds", 0.0) for t in tables),
        "bytes": sum(f.stat().st_size for f in (*there, folder / store.MANIFEST)),
    }


def rate(stamps: Sequence[float], runs: Sequence[int]) -> float | None:
    """Runs a second in the last stretch of work, told from when files were written.

    Args:
        stamps: When each file was written, in seconds.
        runs: How many runs are in each.

    Returns:
        None where that stretch has fewer than three files or lasts a few seconds.
    """
    order = sorted(zip(stamps, runs, strict=True))
    gaps = [
        after[0] - before[0] for before, after in zip(order, order[1:], strict=False)
    ]
    if len(gaps) < 2:
        return None
    usual = max(statistics.median(gaps), 1.0)
    pauses = [place for place, gap in enumerate(gaps) if gap > _PAUSE * usual]
    stretch = order[pauses[-1] + 1 :] if pauses else order
    span = stretch[-1][0] - stretch[0][0]
    if len(stretch) < 3 or span < _LEAST_SPAN:
        return None
    # When the work on the first file began is not known.
    return sum(count for _, count in stretch[1:]) / span


def _written(file: Path, table: xr.Dataset) -> float:
    """When a file was written: as it says itself, for a copy has the copy's date."""
    try:
        said = time.strptime(table.attrs["created"], "%Y-%m-%dT%H:%M:%SZ")
        return float(calendar.timegm(said))
    except (KeyError, TypeError, ValueError):
        return file.stat().st_mtime


def _utc(stamp: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(stamp))


def _inaccurate(table: xr.Dataset) -> int:
    if "inaccurate" not in table:
        return 0
    return int((table["inaccurate"].values & is_finished(table)).sum())
