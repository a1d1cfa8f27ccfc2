import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import from_arrays

INPUTS = np.arange(6.0).reshape(3, 2)


def test_signs_become_floating_point_and_classes_int32(dtype):
    binary = from_arrays(INPUTS, [1, -1, 1], dtype=dtype)
    assert binary.binary
    assert (binary.inputs.dtype, binary.labels.dtype) == (dtype, dtype)
    classes = from_arrays(INPUTS, [0, 2, 1], dtype=dtype)
    assert not classes.binary
    assert classes.labels.dtype == jnp.int32
    assert binary.clusters.tolist() == [0, 0, 0]


def test_centres_and_clusters_are_kept():
    data = from_arrays(
        INPUTS,
        [1.0, -1.0, 1.0],
        [0, 1, 0],
        centres=np.eye(2),
        centre_labels=[1, -1],
    )
    assert data.clusters.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(data.centres, np.eye(2))
    assert data.centre_labels.tolist() == [1.0, -1.0]
    assert (data.samples, data.dim) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((INPUTS[0], [1, -1]), "inputs of shape"),
        ((np.zeros((0, 2)), []), "at least one row"),
        ((np.full((3, 2), np.nan), [1, -1, 1]), "NaN"),
        ((np.full((3, 2), np.inf), [1, -1, 1]), "infinite"),
        ((INPUTS, [1, -1]), "there are 3 rows"),
        ((INPUTS, [1.0, -1.0, 0.5]), r"values \[0.5\]"),
        ((INPUTS, [1.0, -1.0, np.nan]), "values"),
        ((INPUTS, [0, -2, 1]), "non-negative"),
        ((INPUTS, [1, -1, 1], [0, 1]), "clusters of shape"),
    ],
)
def test_bad_arrays_say_what_would_work(arguments, message):
    with pytest.raises(InputError, match=message):
        from_arrays(*arguments)


@pytest.mark.parametrize(
    ("centres", "centre_labels", "message"),
    [
        (np.eye(3), None, "2 features"),
        (np.full((2, 2), np.nan), None, "NaN"),
        (np.eye(2), [1.0], "centre_labels of shape"),
    ],
)
def test_bad_centres_say_what_would_work(centres, centre_labels, message):
    with pytest.raises(InputError, match=message):
        from_arrays(INPUTS, [1, -1, 1], centres=centres, centre_labels=centre_labels)
