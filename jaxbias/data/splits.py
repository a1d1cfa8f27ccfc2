"""Rows with classes, in the parts that a data set is used in."""

from typing import Any, NamedTuple

import numpy as np

from jaxbias._precision import float_dtype
from jaxbias.data.dataset import Dataset, from_classes


class Splits(NamedTuple):
    """A data set in the parts it is used in.

    Attributes:
        train: the rows to train on, whose mean centres all parts.
        validation: the rows to choose by; None where the source has none.
        test: the rows to report on.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset


def splits(
    parts: dict[str, tuple[np.ndarray, np.ndarray]],
    labels: str,
    centred: bool,
    dtype: Any,
) -> Splits:
    """Parts of (rows, classes), all minus the mean training row where ``centred``."""
    dtype = float_dtype(dtype)
    mean = parts["train"][0].mean(axis=0, dtype=np.float64) if centred else 0.0

    def dataset(part: str) -> Dataset | None:
        if part not in parts:
            return None
        rows, classes = parts[part]
        return from_classes(rows - mean, classes, labels, dtype)

    train, validation, test = map(dataset, Splits._fields)
    assert train is not None
    assert test is not None
    return Splits(train, validation, test)
