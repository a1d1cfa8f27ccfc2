"""Where a table came from: specification, versions, device, commit, wall time."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError
from jaxbias.results.specs import spec_hash, spec_to_json

# What ``jaxbias._draws`` draws by; another name means other numbers for a seed.
GENERATOR = "threefry2x32, partitionable"
VOLATILE = ("wall_seconds", "host", "created")
_ROOT = Path(__file__).resolve().parents[2]


def provenance(
    spec: Any = None,
    *,
    seeds: Sequence[int] | None = None,
    precision: str | None = None,
    device: str | None = None,
    wall_seconds: float | None = None,
) -> dict[str, str | int | float]:
    """Attributes for a results file: strings and numbers that netCDF can hold.

    Args:
        spec: What was computed; see ``spec_to_json``.
        seeds: The seeds of the runs, of which the first and last are recorded.
        precision: ``"float32"`` or ``"float64"``.
        device: The device in words; this package never asks JAX for it.
        wall_seconds: Time the runs took.

    Returns:
        ``spec``, ``spec_hash``, versions of jaxbias, numpy, python and (where it
        is loaded) jax, ``device``, ``precision``, ``generator`` (of all random
        numbers), ``seed_first``, ``seed_last``, ``commit``, ``host``, ``created`` and
        ``wall_seconds``; what is unknown is left out.
    """
    known: dict[str, Any] = {
        "jaxbias": _version("jaxbias"),
        "jax": _version("jax") if "jax" in sys.modules else None,
        "numpy": _version("numpy"),
        "python": platform.python_version(),
        "device": device,
        "precision": precision,
        "generator": GENERATOR,
        "commit": _commit(),
        "host": f"{platform.node()} {platform.machine()}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_seconds": wall_seconds,
    }
    if spec is not None:
        known |= {"spec": spec_to_json(spec), "spec_hash": spec_hash(spec)}
    if seeds is not None and len(seeds):
        known |= {"seed_first": int(min(seeds)), "seed_last": int(max(seeds))}
    return {name: value for name, value in known.items() if value is not None}


def same_generator(found: str | None, where: str) -> None:
    """Refuse to add to numbers that another generator has drawn.

    Args:
        found: What the file or folder says of its generator.
        where: The file or folder, for the message.
    """
    if found != GENERATOR:
        raise InputError(
            where,
            f"its numbers were drawn by {found or 'a generator that it does not name'},"
            f" and now they would be by {GENERATOR}",
            "another folder, or the version of jaxbias that wrote this one",
        )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get(package), "__version__", None)


@functools.cache
def _commit() -> str | None:
    """The checkout's commit, with a plus sign where tracked files differ from it."""
    if not (_ROOT / ".git").exists():
        return None
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    git = functools.partial(
        subprocess.run,
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=10,
    )
    try:
        head = git(["git", "rev-parse", "HEAD"])
        changed = git(["git", "status", "--porcelain", "-uno"])
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode or changed.returncode:
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
