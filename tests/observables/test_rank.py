"""The largest eigenvalue by squaring, against LAPACK."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.observables.rank import largest_eigenvalue

# Of the logarithm: the limit of 36 squarings, and a dozen units of rounding.
BOUNDS = {"float64": math.log(60) / 2**37 + 1e-14, "float32": 2e-6}


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("size", [1, 2, 60])
def test_as_lapack_finds_it_whatever_the_gap(dtype, size):
    rng = np.random.default_rng(size)
    half = rng.normal(size=(size, size))
    for matrix in (
        half @ half.T,
        np.eye(size),
        1e-12 * np.eye(size),
        np.ones((size, size)),
    ):
        matrix = matrix.astype(dtype)
        truth = np.linalg.eigvalsh(matrix.astype(float))[-1]
        found = float(largest_eigenvalue(jnp.asarray(matrix)))
        assert abs(math.log(found / truth)) <= BOUNDS[dtype]


def test_zero_has_none_above_zero():
    assert float(largest_eigenvalue(jnp.zeros((3, 3)))) == 0.0
