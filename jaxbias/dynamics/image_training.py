"""pReLU networks trained as in the image experiments: Adam on the cross-entropy."""

import functools

import optax
from jaxtyping import Array, Key

from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.training import train_module
from jaxbias.networks.activations import PReLU
from jaxbias.networks.initialization import torch_uniform
from jaxbias.networks.two_layer import TwoLayer, TwoLayerNetwork

# One object a rate: a new one, though equal, would be compiled for anew.
_adam = functools.cache(optax.adam)


def train_on_images(
    train: Dataset,
    exponent: float | int,
    *,
    classes: int,
    width: int,
    epochs: int,
    batch: int,
    rate: float,
    key: Key[Array, ""],
    batch_key: Key[Array, ""],
    output_bias: bool = True,
) -> TwoLayerNetwork:
    r"""An input-normalised pReLU classifier, trained by the paper's protocol.

    $f_k(x) = \sum_j v_{jk}\,\langle x, w_j\rangle_+^p / (\|x\|\,\|w_j\|)^{p-1} + b_k$,
    started by :func:`torch_uniform` and trained by Adam, in the type of the data.

    Args:
        train: rows centred by their mean, with class numbers as labels.
        exponent: p, at least 1.
        classes: outputs; 2 for parity, as in the released code.
        width: hidden neurons.
        epochs: passes over the data.
        batch: samples a minibatch.
        rate: Adam's learning rate.
        key: for the initial weights; consumed.
        batch_key: for the minibatches; consumed.
        output_bias: whether the outputs have a bias, which starts at 0.

    Raises:
        InputError: for sizes below 1, fewer than 2 classes, a minibatch larger than
            the data and an exponent below 1.

    References:
        min-vidal-2024, section 5.2 and released code.
    """
    spec = TwoLayer(
        width,
        PReLU(exponent),
        torch_uniform(),
        classes=classes,
        output_bias=output_bias,
        normalise_inputs=True,
    )
    network, _ = train_module(
        spec.build(key, train.dim, dtype=train.inputs.dtype),
        train,
        optimiser=_adam(rate),
        loss="cross_entropy",
        epochs=epochs,
        batch=batch,
        key=batch_key,
    )
    return network
