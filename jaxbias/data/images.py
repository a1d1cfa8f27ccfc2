"""Real images that need no network: the 8 x 8 digits that scikit-learn carries."""

from typing import Any

import numpy as np

from jaxbias._checks import InputError, one_of
from jaxbias._precision import float_dtype
from jaxbias.data.dataset import Dataset, from_classes

_SPLIT_SEED = 0
_BRIGHTEST = 16.0


def digits(
    labels: str = "parity", *, test_fraction: float = 0.2, dtype: Any = None
) -> tuple[Dataset, Dataset]:
    r"""The 1,797 handwritten digits (64 pixels) of scikit-learn, split in two sets.

    Pixels are divided by 16 and centred by the mean training image. The split is fixed
    (a seeded shuffle) and the same for both kinds of labels; ``clusters`` holds the
    digit, so with parity labels it names the subclasses.

    Args:
        labels: ``"parity"`` (+1 for even digits, -1 for odd) or ``"class"`` (int32
            0 to 9).
        test_fraction: share of the samples in the test set, between 0 and 1.
        dtype: float32 or float64.

    Returns:
        The training set and the test set.

    Raises:
        InputError: for unknown labels, a fraction that leaves one of the sets empty, or
            without scikit-learn.
    """
    one_of("labels", labels, ("parity", "class"))
    dtype = float_dtype(dtype)
    pixels, digit = _load()
    count = len(digit)
    held_out = round(test_fraction * count) if 0 < test_fraction < 1 else 0
    if not 0 < held_out < count:
        raise InputError(
            f"test_fraction={test_fraction!r}",
            "both the training and the test set need a sample",
            "test_fraction=0.2",
        )
    order = np.random.default_rng(_SPLIT_SEED).permutation(count)
    test, train = order[:held_out], order[held_out:]
    pixels = pixels / _BRIGHTEST
    pixels = pixels - pixels[train].mean(axis=0)
    return (
        from_classes(pixels[train], digit[train], labels, dtype),
        from_classes(pixels[test], digit[test], labels, dtype),
    )


def _load() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            "the digits without scikit-learn",
            "the images come with that package",
            "pip install jaxbias[data]",
        ) from error
    pixels, digit = load_digits(return_X_y=True)
    return np.asarray(pixels, np.float64), np.asarray(digit)
