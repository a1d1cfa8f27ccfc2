"""Minibatch training of any flax module by any optax transformation."""

from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Key

from jaxbias._checks import positive_int
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.fit import Fit, History, checked_batch, split
from jaxbias.losses import Loss, named

Network = TypeVar("Network", bound=nnx.Module)


def train_module(
    network: Network,
    dataset: Dataset,
    *,
    optimiser: optax.GradientTransformation,
    loss: Loss | str,
    epochs: int,
    batch: int | None = None,
    key: Key[Array, ""],
) -> tuple[Network, History]:
    r"""Train a copy of ``network`` by $\theta \leftarrow \theta + u(-\nabla L_B)$.

    $L_B$ is the mean loss of a minibatch $B$. Every epoch visits the samples in a new
    order drawn from ``fold_in(key, epoch)``; what is left over after the last whole
    minibatch sits the epoch out. Only ``nnx.Param`` variables are trained. Batch
    statistics, and whatever else the module changes as it is called, are those of its
    ``train()`` mode; dropout is drawn anew in every step from ``key``, and the random
    state of the module is left as it is.

    Args:
        network: a flax module from inputs to outputs; left as it is.
        dataset: the training set.
        optimiser: an optax transformation, learning rate included.
        loss: a loss or its registered name.
        epochs: passes over the data.
        batch: samples a minibatch; all of them, in order, when left out.
        key: consumed.

    Returns:
        The trained network, in the mode in which it was given, and what happened epoch
        by epoch.

    Raises:
        InputError: for no epochs, for a minibatch below 1 or above the number of
            samples, for outputs of a wrong shape, and for a module that makes new
            variables as it is called.
    """
    loss = named(loss)
    positive_int("epochs", epochs)
    batch = checked_batch(batch, dataset.samples)
    graph, parameters, random, carried = split(network)
    training = nnx.clone(network)
    training.train()
    parameters, carried, history = _train(
        parameters,
        carried,
        random,
        dataset,
        key,
        split(training)[0],
        optimiser,
        loss,
        epochs,
        batch,
    )
    return nnx.merge(graph, parameters, random, carried), history


@partial(jax.jit, static_argnums=(5, 6, 7, 8, 9))
def _train(
    parameters: Any,
    carried: Any,
    random: Any,
    dataset: Dataset,
    key: Array,
    graph: Any,
    optimiser: optax.GradientTransformation,
    loss: Loss,
    epochs: int,
    batch: int,
) -> tuple[Any, Any, History]:
    fit = Fit(graph, random, optimiser, loss, batch)
    epoch = lambda learnt, number: fit.epoch(learnt, number, dataset, key)
    start = fit.begin(parameters, carried)
    learnt, history = jax.lax.scan(epoch, start, jnp.arange(epochs))
    return learnt.parameters, learnt.carried, history
