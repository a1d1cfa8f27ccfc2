"""A sweep as its folder describes it: the plan again, and what is left of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError
from jaxbias.results.specs import spec_from_json
from jaxbias.results.store import read_manifest, write
from jaxbias.sweeps.batches import compile_batch, run_batch
from jaxbias.sweeps.checkpoint import remove_states
from jaxbias.sweeps.grid import Axis, parse_shard
from jaxbias.sweeps.layout import shard_of
from jaxbias.sweeps.plan import Plan, Settings, make_plan, part_from_json
from jaxbias.sweeps.sharing import joined, to_compute

_FIELDS = ("measure", "tolerances", "check_every", "root", "batch")


def plan_again(
    found: dict[str, Any], folder: Path, modules: Sequence[str] = ()
) -> tuple[Plan, Settings]:
    """The plan that a manifest describes, and what its runs are.

    Args:
        found: The manifest.
        folder: Of the sweep.
        modules: Outside of the package from which objects may be loaded.

    Raises:
        InputError: It describes something that cannot be built from it, such as a
            data set of which it holds the digest.
    """
    spec = spec_from_json(json.dumps(found["spec"]), modules)
    settings = Settings(**{name: spec[name] for name in _FIELDS})
    over, seeds = part_from_json(found["parts"][0])
    axes = tuple(
        Axis(name, path, over[path])
        for name, path in zip(spec["names"], spec["axes"], strict=True)
    )
    return (
        make_plan(spec["experiment"], axes, seeds, settings, folder, found),
        settings,
    )


def compute_rest(folder: Path, shard: Any = None, modules: Sequence[str] = ()) -> None:
    """Compute the batches of a folder that nobody else has, until none is left.

    Raises:
        InputError: There is no sweep in the folder, or it cannot be built again.
    """
    settings: list[Settings] = []

    def make(found: dict[str, Any] | None) -> Plan:
        if found is None:
            raise InputError(
                f"folder {str(folder)!r}",
                "no sweep has begun in it, so nothing says what to run",
                f"jaxbias.sweep(..., out={str(folder)!r})",
            )
        plan, own = plan_again(found, folder, modules)
        settings[:] = [own]
        return plan

    if read_manifest(folder) is None:
        make(None)
    part, parts = parse_shard(shard)
    with joined(folder, make, begun_here=False) as (plan, claims):
        mine = shard_of(plan.batches, part, parts)
        buckets = list({id(batch.bucket): 0 for batch in plan.batches})
        known: set[int] = set()
        for one, missing in to_compute(folder, claims, plan, mine):
            if missing:
                bucket = id(one.bucket)
                if bucket not in known:
                    with claims.compiling(buckets.index(bucket)):
                        compile_batch(one, settings[0])
                    known.add(bucket)
                write(run_batch(one, plan, settings[0], folder), folder / one.name)
                remove_states(folder, one.name)
