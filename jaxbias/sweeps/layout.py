"""How a sweep is cut into batches: rounds of seeds over all points, a file per bucket.

A layout is written into the folder's manifest by whoever begins it, and read from there
by all others, so that shards, machines and later versions of the constants agree.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxbias._axes import TIME
from jaxbias.experiments.experiment import Column, Experiment, Work
from jaxbias.sweeps.bucket import Batch, Bucket

# What a kill may lose, and what a round over all points may take if buckets are many.
BATCH_SECONDS, ROUND_SECONDS, _LEAST_SECONDS = 30.0, 120.0, 5.0
BATCH_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Layout:
    """The cut of one part of a sweep.

    Attributes:
        padded: Array sizes of each group of buckets, in the order of the groups.
        rounds: Into how many rounds the seeds are cut.
    """

    padded: tuple[tuple[int, ...], ...]
    rounds: int

    def to_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"padded": [list(sizes) for sizes in self.padded], "rounds": self.rounds}

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> "Layout":
        """What ``to_json`` gave."""
        return cls(tuple(tuple(s) for s in form["padded"]), int(form["rounds"]))


def count_rounds(
    buckets: Sequence[Bucket],
    seconds: Callable[[Experiment, int], float],
    row_bytes: Callable[[Bucket], int],
    largest: int | None,
    shards: int,
) -> int:
    """Rounds so that no batch is too much work, too large, or shared by two shards.

    Args:
        buckets: Of one part of a sweep.
        seconds: What a run of an experiment costs at an array size.
        row_bytes: What a run of a bucket takes in a file.
        largest: Runs in a batch, at most, if given.
        shards: Among how many the runs are to be split.
    """
    target = ROUND_SECONDS / len(buckets)
    target = min(max(target, _LEAST_SECONDS), BATCH_SECONDS)
    rounds = 1
    for bucket in buckets:
        runs = len(bucket.runs)
        work = runs * seconds(bucket.experiment, bucket.padded)
        rounds = max(rounds, math.ceil(work / target))
        rounds = max(rounds, math.ceil(runs * row_bytes(bucket) / BATCH_BYTES))
        if largest is not None:
            rounds = max(rounds, math.ceil(runs / largest))
    if rounds < 4 * shards:
        # Few rounds are dealt out evenly, or one shard would have twice the others'.
        rounds = -(-rounds // shards) * shards
    return min(rounds, max(len(bucket.runs) for bucket in buckets))


def make_batches(
    buckets: Sequence[Bucket], rounds: int, first: int = 0, first_round: int = 0
) -> list[Batch]:
    """Every bucket's runs seed by seed in so many pieces, round after round.

    Args:
        buckets: Of one part of a sweep.
        rounds: Number of pieces; a bucket of fewer runs has some without any.
        first: Number of the first file.
        first_round: Number of the first round.
    """
    batches: list[Batch] = []
    cuts = [np.arange(rounds + 1) * len(b.runs) // rounds for b in buckets]
    pieces = [
        [b.runs[i:j] for i, j in zip(cut, cut[1:], strict=False)]
        for b, cut in zip(buckets, cuts, strict=True)
    ]
    lanes = [max(sum(len(r.factors) for r in runs) for runs in p) for p in pieces]
    for k in range(rounds):
        for bucket, piece, most in zip(buckets, pieces, lanes, strict=True):
            if piece[k]:
                name = f"batch-{first + len(batches):05d}.nc"
                batches.append(Batch(name, bucket, piece[k], first_round + k, most))
    return batches


def shard_of(batches: Sequence[Batch], part: int, parts: int) -> list[Batch]:
    """What one of several shards computes: whole rounds, where there are enough.

    Args:
        batches: Of the sweep.
        part: Which shard, from 0.
        parts: How many there are.
    """
    rounds = {batch.round for batch in batches}
    if len(rounds) < parts:
        return list(batches[part::parts])
    return [batch for batch in batches if batch.round % parts == part]


def row_bytes(columns: Mapping[str, Column], work: Work, times: int, dtype: str) -> int:
    """What a run takes in a file before compression.

    Args:
        columns: Its variables.
        work: Of the run, which says how long axes are.
        times: Entries along the axis time.
        dtype: Precision of the numbers.
    """
    sizes = {**work.sizes, TIME: times}
    shapes = ([sizes.get(axis, 1) for axis in c.axes] for c in columns.values())
    return sum(map(math.prod, shapes)) * np.dtype(dtype).itemsize
