"""Epochs of minibatches for any flax module, as pure functions of arrays."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from jaxbias import _draws
from jaxbias._checks import InputError, positive_int
from jaxbias.data.dataset import Dataset
from jaxbias.losses import Loss, correct

# No epoch has this number, so that what is random in a step shares no draw with orders.
_NOISE = 2**31 - 1


class History(NamedTuple):
    """What each epoch measured on its minibatches, each before its own update.

    Attributes:
        loss: mean training loss.
        accuracy: share of samples classified correctly.
    """

    loss: Float[Array, "..."]
    accuracy: Float[Array, "..."]


class Learnt(NamedTuple):
    """What training changes, as states of flax.

    Attributes:
        parameters: every ``nnx.Param``.
        memory: of the optimiser.
        carried: all other variables but random ones, such as batch statistics.
    """

    parameters: Any
    memory: Any
    carried: Any


@dataclasses.dataclass(frozen=True)
class Fit:
    """The epochs of a training as pure functions of arrays.

    Attributes:
        graph: of the module, as it trains.
        random: its random variables, of which only shapes and types count.
        optimiser: learning rate included.
        loss: of one sample.
        batch: samples a minibatch.
    """

    graph: Any
    random: Any
    optimiser: optax.GradientTransformation
    loss: Loss
    batch: int

    def begin(self, parameters: Any, carried: Any) -> Learnt:
        """Before the first epoch."""
        return Learnt(parameters, self.optimiser.init(parameters), carried)

    def epoch(
        self, learnt: Learnt, number: Array, dataset: Dataset, key: Key[Array, ""]
    ) -> tuple[Learnt, History]:
        """One pass over the data, in the order of ``fold_in(key, number)``.

        Random variables of the module are set anew in every step, from the key and the
        number of the step, so that an epoch follows from where it begins alone.
        """
        steps = dataset.samples // self.batch
        order = jnp.arange(dataset.samples)
        if steps > 1 or self.batch < dataset.samples:
            order = _draws.permutation(_draws.fold_in(key, number), order)
        order = order[: steps * self.batch].reshape(steps, self.batch)

        def step(learnt: Learnt, given: tuple[Array, Array]) -> tuple[Learnt, History]:
            rows, place = given
            random = set_anew(self.random, key, number * steps + place)
            return self._step(
                learnt, dataset.inputs[rows], dataset.labels[rows], random
            )

        learnt, measured = jax.lax.scan(
            step, learnt, (order, jnp.arange(steps, dtype=number.dtype))
        )
        return learnt, History(*(jnp.mean(values) for values in measured))

    def _step(
        self, learnt: Learnt, inputs: Array, labels: Array, random: Any
    ) -> tuple[Learnt, History]:
        def objective(parameters: Any) -> tuple[Array, Any]:
            # Flax changes variables only under the transformation that made them.
            own = jax.tree.map(lambda leaf: leaf, (random, learnt.carried))
            module = nnx.merge(self.graph, parameters, *own)
            outputs = outputs_of(module, inputs)
            accuracy = jnp.mean(correct(outputs, labels).astype(outputs.dtype))
            carried = _as_before(learnt.carried, split(module)[3])
            return jnp.mean(self.loss.value(outputs, labels)), (accuracy, carried)

        (loss, (accuracy, carried)), gradient = jax.value_and_grad(
            objective, has_aux=True
        )(learnt.parameters)
        # optax itself mixes types (Adam's bias correction), which strict mode refuses.
        with jax.numpy_dtype_promotion("standard"):
            update, memory = self.optimiser.update(
                gradient, learnt.memory, learnt.parameters
            )
            parameters = optax.apply_updates(learnt.parameters, update)
        return Learnt(parameters, memory, carried), History(loss, accuracy)


def set_anew(random: Any, key: Key[Array, ""], step: Int[Array, ""] | int) -> Any:
    """A module's random variables in a step, of the form of these.

    Args:
        random: of which only shapes and types count.
        key: of the order of minibatches, with which they share no draw.
        step: from the start of the run.
    """
    leaves, structure = jax.tree.flatten(random)
    if leaves:
        key = _draws.fold_in(_draws.fold_in(key, _NOISE), step)
    drawn = [
        _draws.lent(_draws.fold_in(key, number), leaf.shape)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.zeros(leaf.shape, leaf.dtype)
        for number, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, drawn)


def split(module: nnx.Module) -> tuple[Any, Any, Any, Any]:
    """Graph, parameters, random variables and all others of a module."""
    graph, parameters, random, others = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return graph, parameters, random, others


@contextlib.contextmanager
def as_flax_does() -> Iterator[None]:
    """Types and ranks mix, as modules of others take for granted."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def outputs_of(module: Any, inputs: Array) -> Array:
    """What a module gives for these rows.

    Raises:
        InputError: it gives no row of numbers, or a column.
    """
    with as_flax_does():
        outputs = module(inputs)
    shape, count = getattr(outputs, "shape", ()), inputs.shape[0]
    if shape[:1] != (count,) or len(shape) > 2 or shape[1:] == (1,):
        raise InputError(
            f"a module whose outputs have the shape {shape} for {count} samples",
            "losses take one number a sample, or one a class",
            f"outputs of shape ({count},), such as outputs[:, 0]",
        )
    return outputs


def share_right(
    graph: Any, variables: tuple[Any, ...], dataset: Dataset, batch: int
) -> Float[Array, ""]:
    """Share of the samples that a module classifies correctly.

    Args:
        graph: of the module, as it evaluates.
        variables: parameters, random and other variables.
        dataset: of any number of samples.
        batch: samples that go through it at once.
    """
    samples, dtype = dataset.samples, dataset.inputs.dtype
    count = -(-samples // batch)

    def right(place: Array) -> Array:
        rows = jnp.minimum(place, samples - 1)
        module = nnx.merge(graph, *jax.tree.map(lambda leaf: leaf, variables))
        outputs = outputs_of(module, dataset.inputs[rows])
        found = correct(outputs, dataset.labels[rows]) & (place < samples)
        return jnp.sum(found.astype(jnp.int32))

    counted = jax.lax.map(right, jnp.arange(count * batch).reshape(count, batch))
    return jnp.sum(counted).astype(dtype) / jnp.asarray(samples, dtype)


def _as_before(before: Any, after: Any) -> Any:
    """Variables after a call in the types that they had before it."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise InputError(
            "a module that makes variables as it is called",
            "what an epoch hands to the next must keep its form",
            "a module that makes all of them when it is built",
        )
    return jax.tree.map(lambda old, new: new.astype(old.dtype), before, after)


def checked_batch(batch: int | None, samples: int) -> int:
    """The samples of a minibatch: all of them where it is left out."""
    batch = samples if batch is None else batch
    positive_int("batch", batch)
    if batch > samples:
        raise InputError(
            f"batch={batch} of {samples} samples",
            "a minibatch draws without replacement",
            f"batch={samples}",
        )
    return batch
