"""What a sweep's folder has planned, read from its manifest without building a flow."""

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any


def points_of_seeds(manifest: Mapping[str, Any]) -> dict[int, int] | None:
    """For each seed the number of points at which it is to run.

    Parts by which a folder was extended may repeat what earlier ones have; a point and
    a seed run once.

    Args:
        manifest: What ``store.read_manifest`` gives.

    Returns:
        None where the manifest does not say it in a form that is known here.
    """
    try:
        parts = [_part(form) for form in manifest["parts"]]
    except (KeyError, TypeError, ValueError):
        return None
    if len(parts) == 1:
        # A grid alone repeats nothing; a large one is counted and not listed.
        [(axes, seeds)] = parts
        return dict.fromkeys(seeds, math.prod(map(len, axes)))
    grids = [set(itertools.product(*axes)) for axes, _ in parts]
    members: dict[int, tuple[int, ...]] = {}
    for number, (_, seeds) in enumerate(parts):
        for seed in seeds:
            members[seed] = (*members.get(seed, ()), number)
    sizes = {
        which: len(set().union(*(grids[number] for number in which)))
        for which in set(members.values())
    }
    return {seed: sizes[which] for seed, which in members.items()}


def _part(form: Any) -> tuple[list[list[str]], list[int]]:
    """The values of each axis, as text, and the seeds of one part."""
    part = dict(form["dict"])
    over = dict(part["over"]["dict"])
    axes = [
        [json.dumps(value, sort_keys=True) for value in over[path]["tuple"]]
        for path in sorted(over)
    ]
    seeds = part["seeds"]
    if "tuple" in seeds:
        return axes, [int(seed) for seed in seeds["tuple"]]
    run = dict(seeds["dict"])
    return axes, list(range(run["first"], run["first"] + run["count"]))
