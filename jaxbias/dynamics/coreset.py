"""Stratified weighted subsets of the training rows: a cheap flow near the whole one.

Long horizons of clustered data need few rows: for n above 2D rows a flow has no exact
reduction, while a subset of m < D rows has. A subset is an approximation; two
independent ones tell how good it is.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias._checks import InputError, positive_int
from jaxbias.dynamics.flow import Problem, with_rows
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict


def coreset(problem: Problem, rows: int, *, key: Key[Array, ""]) -> Problem:
    r"""The problem on a random subset of its rows that keeps each cluster's mass.

    Rows are drawn systematically from an order by cluster, random inside each, so that
    a cluster of $n_k$ of the n rows gives $\lfloor m n_k/n\rfloor$ or one more. Rows of
    a cluster share its weight $\sum_{i \in k} \omega_i$ evenly. A cluster with fewer
    than n/m rows may be left out; where clusters are not known, all rows are one.

    Args:
        problem: the whole problem; may be traced.
        rows: m, how many rows to keep.
        key: of the draw; consumed.

    Raises:
        InputError: for no rows, and for more than there are.
    """
    positive_int("rows", rows)
    dataset = problem.dataset
    count = dataset.samples
    if rows > count:
        raise InputError(
            f"rows={rows} of {count} samples",
            "a subset is drawn without replacement",
            f"rows={count}",
        )
    shuffled = _draws.permutation(key, count)
    ranked = shuffled[jnp.argsort(dataset.clusters[shuffled], stable=True)]
    # Middles of m equal stretches of the order, in whole numbers.
    chosen = ranked[((2 * np.arange(rows) + 1) * count) // (2 * rows)]
    own = dataset.clusters[chosen]
    whole = own[:, None] == dataset.clusters[None, :]
    mass = jnp.sum(jnp.where(whole, problem.sample_weights[None, :], 0.0), axis=1)
    members = jnp.sum(own[:, None] == own[None, :], axis=1)
    return with_rows(problem, chosen, mass / members.astype(mass.dtype))


def output_gap(
    first: Weights,
    second: Weights,
    activation: Activation,
    inputs: Float[Array, "sample feature"],
) -> Float[Array, ""]:
    r"""Relative distance of two networks' outputs, $\|f_1 - f_2\|/\|f_1\|$ over rows.

    Of the networks of two independent coresets it is $\sqrt 2$ times the error of
    either, up to what both have in common: rounding and the integrator.

    Args:
        first: a network.
        second: another one of the same inputs.
        activation: of both.
        inputs: where they are compared.
    """
    one, other = (predict(net, activation, inputs) for net in (first, second))
    return jnp.linalg.norm(one - other) / jnp.linalg.norm(one)
