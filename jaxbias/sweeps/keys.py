"""The key of a run: a function of root, stream and seed, and of nothing else.

No axis of a sweep enters, so runs that differ in width, noise or scale share their
random numbers, and a run has the same ones alone, in a batch or in a shard. Nor does
JAX's configuration: see ``jaxbias._draws``.
"""

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias.sweeps.grid import seed_list

FLOW = "flow"


def stream_key(root: str, stream: str = FLOW) -> Key[Array, ""]:
    """The key from which a stream's runs fold in their seeds.

    Args:
        root: Names the experiment; a claim uses its own id and release.
        stream: Names what is drawn: ``flow`` for data and weights.
    """
    key = _draws.seed_key(0)
    for text in (root, stream):
        for word in np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], "<u4"):
            key = _draws.fold_in(key, word)
    return key


def run_key(root: str, seed: Any, stream: str = FLOW) -> Key[Array, ""]:
    """The key of one run, the same in ``sweep`` and outside it.

    Args:
        root: As in ``sweep``.
        seed: The run's seed, in [0, 2^32).
        stream: As in ``stream_key``.

    Raises:
        InputError: For a seed that is no integer in [0, 2^32).
    """
    (word,) = seed_list([seed])
    return _draws.fold_in(stream_key(root, stream), np.uint32(word))
