"""Stable ranks of the weights and of the hidden features."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.observables._registry import register, unit_scale

# ln(1000) / 2^37 is 5e-11.
_SQUARINGS = 36


@register(description="stable rank of the hidden weights", scale=unit_scale)
def weight_stable_rank(snapshot: Snapshot) -> Float[Array, ""]:
    r"""$\|W\|_F^2/\|W\|_2^2$; 0 for W = 0.

    On orthonormal clusters it approaches $1 + \sqrt{\min K_\pm/\max K_\pm}$ at p = 1
    and K for p > 2 (min-vidal-2025); on orthogonally separable data at most 2
    (min-mallada-vidal-2024).
    """
    weights = snapshot.weights()
    return stable_rank(jnp.where(snapshot.mask[:, None], weights, 0 * weights))


@register(
    description="stable rank of the hidden features of the training rows",
    scale=unit_scale,
)
def feature_stable_rank(snapshot: Snapshot) -> Float[Array, ""]:
    """The same of the matrix of hidden features, one row a training row."""
    features = snapshot.responses()
    return stable_rank(jnp.where(snapshot.mask[None, :], features, 0 * features))


def stable_rank(matrix: Float[Array, "row column"]) -> Float[Array, ""]:
    """Squared Frobenius over squared spectral norm, by the smaller Gram matrix."""
    largest = jnp.max(jnp.abs(matrix))
    # Scaled first: the squares of weights of 1e-23 are no float32 numbers.
    matrix = matrix / jnp.where(largest > 0, largest, jnp.ones_like(largest))
    wide = matrix.shape[0] <= matrix.shape[1]
    left, right = (matrix, matrix.T) if wide else (matrix.T, matrix)
    gram = jnp.matmul(left, right, precision="highest")
    top = largest_eigenvalue(gram)
    safe = jnp.where(top > 0, top, jnp.ones_like(top))
    return jnp.where(top > 0, jnp.trace(gram) / safe, jnp.zeros_like(top))


def largest_eigenvalue(matrix: Float[Array, "row row"]) -> Float[Array, ""]:
    r"""Of a positive semidefinite matrix: $\lim_k \|G^{2^k}\|_F^{1/2^k}$.

    After k squarings the logarithm is above the true one by at most
    $\ln(n)/2^{k+1}$, whatever the gap between eigenvalues. LAPACK would do, but for
    two batched decompositions in one program, which wait for each other's threads for
    ever on a CPU of two cores (jaxlib before 0.11).
    """
    ones = lambda a: jnp.where(a > 0, a, jnp.ones_like(a))

    def square(_, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        power, log, share = state
        norm = ones(jnp.sqrt(jnp.sum(power * power)))
        power = power / norm
        power = jnp.matmul(power, power, precision="highest")
        return power, log + share * jnp.log(norm), share / 2

    one = jnp.ones((), matrix.dtype)
    state = matrix, 0 * one, one
    power, log, share = jax.lax.fori_loop(0, _SQUARINGS, square, state)
    norm = jnp.sqrt(jnp.sum(power * power))
    return jnp.where(norm > 0, jnp.exp(log + share * jnp.log(ones(norm))), 0 * one)
