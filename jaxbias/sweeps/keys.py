"""The key of a run: a function of root, stream and seed, and of nothing else.

No axis of a sweep enters, so runs that differ in width, noise or scale share their
random numbers, and a run has the same ones alone, in a batch or in a shard.
"""

import hashlib

import jax
import numpy as np
from jaxtyping import Array, Key

FLOW = "flow"


def stream_key(root: str, stream: str = FLOW) -> Key[Array, ""]:
    """The key from which a stream's runs fold in their seeds.

    Args:
        root: Names the experiment; a claim uses its own id and release.
        stream: Names what is drawn: ``flow`` for data and weights.
    """
    # Threefry by name: another default generator must not change published numbers.
    key = jax.random.key(0, impl="threefry2x32")
    for text in (root, stream):
        for word in np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], "<u4"):
            key = jax.random.fold_in(key, word)
    return key


def run_key(root: str, seed: int, stream: str = FLOW) -> Key[Array, ""]:
    """The key of one run, the same in ``sweep`` and outside it.

    Args:
        root: As in ``sweep``.
        seed: The run's seed, in [0, 2^32).
        stream: As in ``stream_key``.
    """
    return jax.random.fold_in(stream_key(root, stream), np.uint32(seed))
