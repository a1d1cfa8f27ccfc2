"""How far the sweep in a folder is."""

import os
from pathlib import Path

from jaxbias._checks import InputError
from jaxbias.results import store
from jaxbias.results.summaries import finished


def headway(folder: str | os.PathLike[str]) -> dict[str, int | float | str]:
    """Batches and runs of a sweep: planned, written, stopped early.

    Args:
        folder: What was given to ``jaxbias.sweep(out=...)``.

    Returns:
        ``folder``, ``batches``, ``batches_written``, ``runs_written``,
        ``runs_unfinished`` (written, but stopped before their last time) and
        ``wall_seconds`` spent.

    Raises:
        InputError: There is no sweep in the folder, or a file of it is corrupt.
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
    written = [finished(store.open(file)).attrs for file in files if file.exists()]
    return {
        "folder": str(folder),
        "batches": len(files),
        "batches_written": len(written),
        "runs_written": sum(counts["runs"] for counts in written),
        "runs_unfinished": sum(counts["unfinished"] for counts in written),
        "wall_seconds": sum(counts.get("wall_seconds", 0.0) for counts in written),
    }
