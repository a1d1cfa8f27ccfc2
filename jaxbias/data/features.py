"""Precomputed features from one's own ``.npz`` files."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jaxbias._checks import InputError, finite_array, nonnegative, one_of, positive_int
from jaxbias._files import load_arrays
from jaxbias.data.dataset import Dataset
from jaxbias.data.splits import Splits, splits


def features(
    path: str | os.PathLike,
    labels: str = "class",
    *,
    centred: bool = True,
    dtype: Any = None,
) -> Splits:
    """Precomputed features from an ``.npz`` file that is split already.

    It holds ``train_inputs`` (sample, feature), ``train_labels`` (sample,) of integers
    from 0, the same for ``test`` and, if there are any, for ``validation``; such a
    file comes from ``numpy.savez_compressed(path, train_inputs=..., ...)``.
    :func:`load_features` splits one that is not.

    Args:
        path: the file.
        labels: ``"class"`` (int32, as stored) or ``"parity"`` (+1 for even, -1 for
            odd classes).
        centred: whether the mean training row is subtracted.
        dtype: float32 or float64.

    Raises:
        InputError: for a missing or corrupt file, a missing array, rows and labels
            that do not match, and entries that are not finite.
    """
    one_of("labels", labels, ("parity", "class"))
    stored = load_arrays(Path(path), f"file {path}")
    parts = {}
    for part in Splits._fields:
        names = f"{part}_inputs", f"{part}_labels"
        if part == "validation" and not stored.keys() & set(names):
            continue
        rows, classes = _rows(path, stored, names)
        train = parts.get("train", (rows,))[0]
        if rows.shape[1] != train.shape[1]:
            raise InputError(
                f"{names[0]} of {rows.shape[1]} features",
                f"train_inputs has {train.shape[1]}",
                f"{names[0]} of shape ({len(rows)}, {train.shape[1]})",
            )
        parts[part] = rows, classes
    return splits(parts, labels, centred, dtype)


def load_features(
    path: str | os.PathLike,
    *,
    superclasses: int = 10,
    test_share: float = 0.2,
    seed: int = 0,
    dtype: Any = None,
) -> tuple[Dataset, Dataset]:
    r"""Features of a pretrained network, split in two, classes joined to superclasses.

    The experiment of min-vidal-2024 on Caltech256, whose 257 categories become ten
    classes of many subclasses each: class number modulo ``superclasses``. Both sets are
    centred by the mean training row; ``clusters`` holds the class as stored.

    Args:
        path: an ``.npz`` with ``features`` (sample, dim) and ``labels`` (sample,) of
            integers from 0.
        superclasses: number of superclasses, at least 2.
        test_share: share of the samples in the test set, between 0 and 1.
        seed: of the shuffle before the split.
        dtype: float32 or float64.

    Returns:
        The training set and the test set, labelled by superclass (int32).

    Raises:
        InputError: for a missing or corrupt file, a missing array, features that are
            not finite numbers in rows of one label each, fewer than 2 superclasses or
            one without a sample, a share that leaves one of the sets empty, and a
            negative seed.

    References:
        min-vidal-2024, section 5.2 and released code.
    """
    positive_int("superclasses", superclasses)
    if superclasses == 1:
        raise InputError(
            "superclasses=1", "one class leaves nothing to tell apart", "superclasses=2"
        )
    nonnegative("seed", seed)
    stored = load_arrays(Path(path), f"file {path}")
    rows, classes = _rows(path, stored, ("features", "labels"))
    held_out = round(test_share * len(rows)) if 0 < test_share < 1 else 0
    if not 0 < held_out < len(rows):
        raise InputError(
            f"test_share={test_share!r} of {len(rows)} samples",
            "both the training and the test set need a sample",
            "test_share=0.2",
        )
    order = np.random.default_rng(seed).permutation(len(rows))
    test, train = order[:held_out], order[held_out:]
    absent = set(range(superclasses)) - set((classes[train] % superclasses).tolist())
    if absent:
        raise InputError(
            f"labels modulo superclasses={superclasses}",
            f"the training set has no sample of superclass {min(absent)}",
            "fewer superclasses, or more samples",
        )
    parts = {
        "train": (rows[train], classes[train]),
        "test": (rows[test], classes[test]),
    }
    both = splits(parts, "class", True, dtype)
    joined = lambda part: eqx.tree_at(
        lambda data: data.labels, part, part.clusters % jnp.int32(superclasses)
    )
    return joined(both.train), joined(both.test)


def _rows(
    path: str | os.PathLike, stored: dict[str, np.ndarray], names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of a file, (sample, feature) and (sample,), checked."""
    missing = [name for name in names if name not in stored]
    if missing:
        raise InputError(
            f"file {path}",
            f"it has no array {missing[0]!r}, only {', '.join(sorted(stored))}",
            f"numpy.savez_compressed(path, {names[0]}=..., {names[1]}=...)",
        )
    rows, classes = (stored[name] for name in names)
    if rows.ndim != 2 or rows.size == 0 or classes.shape != rows.shape[:1]:
        raise InputError(
            f"{names[0]} of shape {rows.shape}, {names[1]} of {classes.shape}",
            "there is one row of features and one label a sample",
            "shapes (samples, dim) and (samples,)",
        )
    if rows.dtype.kind not in "fiu":
        raise InputError(
            f"{names[0]} of type {rows.dtype}", "features are real numbers", "float32"
        )
    finite_array(names[0], rows)
    if classes.dtype.kind not in "iu" or classes.min() < 0:
        least = f", least value {classes.min()}" if classes.dtype.kind in "iu" else ""
        raise InputError(
            f"{names[1]} of type {classes.dtype}{least}",
            "a class is an integer from 0",
            f"numpy.unique({names[1]}, return_inverse=True)[1]",
        )
    return rows, classes
