"""Minibatch training of any flax module by any optax transformation."""

from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias._checks import InputError, positive_int
from jaxbias.data.dataset import Dataset
from jaxbias.losses import Loss, correct, named

Network = TypeVar("Network", bound=nnx.Module)


class History(NamedTuple):
    """What each epoch measured on its minibatches, each before its own update.

    Attributes:
        loss: mean training loss.
        accuracy: share of samples classified correctly.
    """

    loss: Float[Array, " epoch"]
    accuracy: Float[Array, " epoch"]


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
    minibatch sits the epoch out. Only ``nnx.Param`` variables are trained.

    Args:
        network: a flax module from inputs to outputs, without state; left as it is.
        dataset: the training set.
        optimiser: an optax transformation, learning rate included.
        loss: a loss or its registered name.
        epochs: passes over the data.
        batch: samples a minibatch; all of them, in order, when left out.
        key: consumed.

    Returns:
        The trained network and what happened epoch by epoch.

    Raises:
        InputError: for no epochs, for a minibatch below 1 or above the number of
            samples, and for a module with batch statistics or random states.
    """
    loss = named(loss)
    positive_int("epochs", epochs)
    batch = dataset.samples if batch is None else batch
    positive_int("batch", batch)
    if batch > dataset.samples:
        raise InputError(
            f"batch={batch} of {dataset.samples} samples",
            "a minibatch draws without replacement",
            f"batch={dataset.samples}",
        )
    graph, parameters, rest = nnx.split(network, nnx.Param, ...)
    carried = [
        kind.__name__
        for kind in (nnx.BatchStat, nnx.RngState)
        if jax.tree.leaves(nnx.state(network, kind))
    ]
    if carried:
        raise InputError(
            f"a module with {' and '.join(carried)}",
            "only parameters are updated, so its statistics and random states would"
            " stay what they are",
            "a module without normalisation over batches and without dropout",
        )
    parameters, history = _train(
        parameters, rest, dataset, key, graph, optimiser, loss, epochs, batch
    )
    return nnx.merge(graph, parameters, rest), history


@partial(jax.jit, static_argnums=(4, 5, 6, 7, 8))
def _train(
    parameters: Any,
    rest: Any,
    dataset: Dataset,
    key: Array,
    graph: Any,
    optimiser: optax.GradientTransformation,
    loss: Loss,
    epochs: int,
    batch: int,
) -> tuple[Any, History]:
    steps = dataset.samples // batch

    def objective(parameters, inputs, labels):
        outputs = nnx.merge(graph, parameters, rest)(inputs)
        accuracy = jnp.mean(correct(outputs, labels).astype(outputs.dtype))
        return jnp.mean(loss.value(outputs, labels)), accuracy

    def step(state, rows):
        parameters, memory = state
        measured, gradient = jax.value_and_grad(objective, has_aux=True)(
            parameters, dataset.inputs[rows], dataset.labels[rows]
        )
        # optax itself mixes types (Adam's bias correction), which strict mode refuses.
        with jax.numpy_dtype_promotion("standard"):
            update, memory = optimiser.update(gradient, memory, parameters)
            parameters = optax.apply_updates(parameters, update)
        return (parameters, memory), measured

    def epoch(state, number):
        order = jnp.arange(dataset.samples)
        if steps > 1 or batch < dataset.samples:
            order = _draws.permutation(_draws.fold_in(key, number), order)
        order = order[: steps * batch].reshape(steps, batch)
        state, measured = jax.lax.scan(step, state, order)
        return state, History(*(jnp.mean(values) for values in measured))

    state = (parameters, optimiser.init(parameters))
    state, history = jax.lax.scan(epoch, state, jnp.arange(epochs))
    return state[0], history
