"""pReLU networks on MNIST: section 5.2 of min-vidal-2024, parity and digits."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias.data.dataset import Dataset
from jaxbias.data.mnist import mnist
from jaxbias.studies._classifiers import (
    Classifiers,
    Tick,
    class_means,
    train_classifiers,
)

#: Classes of each task: a digit's label is the digit modulo this.
TASKS = {"parity": 2, "digits": 10}
DIFFERS = (
    "Pixels are divided by 255 (the pickled file: by 256), and the output bias starts "
    "at 0 (the paper: uniformly).",
    "APGD on the cross-entropy is our own (croce-hein-2020, 100 steps, one random "
    "start), on the first validation images, and it may leave the range of pixels.",
    "Beside it stand an upper bound, which is the weaker of APGD and a minimum-norm "
    "attack at each point, and a certified lower bound; the paper has neither.",
)


def mnist_data(
    tasks: Sequence[str], samples: int | None = None
) -> dict[str, tuple[Dataset, Dataset]]:
    """Training and test set of each task, as the paper's code has them.

    50,000 training images, centred by their mean, and the 10,000 *validation* images,
    on which the paper's code tests.

    Args:
        tasks: keys of :data:`TASKS`.
        samples: training images used, the first ones; all when left out.

    Raises:
        InputError: where the files of MNIST are missing or damaged.
    """
    train, validation, _ = mnist("class", dtype="float32")
    assert validation is not None
    first = slice(samples)
    train = Dataset(train.inputs[first], train.labels[first], train.clusters[first])
    return {
        task: (_modulo(train, TASKS[task]), _modulo(validation, TASKS[task]))
        for task in tasks
    }


def _modulo(data: Dataset, classes: int) -> Dataset:
    return Dataset(data.inputs, data.clusters % jnp.int32(classes), data.clusters)


def train_on_mnist(
    *,
    tasks: Sequence[str],
    exponents: Sequence[float],
    seeds: Sequence[int],
    width: int,
    epochs: int,
    batch: int,
    root: str,
    tick: Tick,
    samples: int | None = None,
) -> Classifiers:
    """The networks of every figure on MNIST.

    Args:
        tasks: ``"parity"``, ``"digits"`` or both.
        exponents: p of each family.
        seeds: of weights and minibatches.
        width: hidden neurons; the paper has 500.
        epochs: passes over the data; the paper has 51.
        batch: samples a minibatch; the paper has 1000.
        root: names the experiment.
        tick: told what is being done.
        samples: training images used; all 50,000 when left out.

    Raises:
        InputError: where the files of MNIST are missing or damaged.
    """
    return train_classifiers(
        mnist_data(tasks, samples),
        exponents=exponents,
        seeds=seeds,
        width=width,
        epochs=epochs,
        batch=batch,
        output_bias=True,
        root=root,
        tick=tick,
    )


def mean_cosines(trained: Classifiers, *, neurons: int) -> xr.Dataset:
    r"""Cosines of the dominant neurons of the first seed to the mean of each digit.

    A neuron's contribution is $\|\tilde v_j\|\,\|w_j\|$, where $\tilde v_j$ is its
    readout less the mean over the outputs, on which no decision depends. With two
    classes it is signed: positive where it speaks for class 0.

    Args:
        trained: the networks and their data; ``clusters`` names the digits.
        neurons: how many of the largest contributions are shown.

    Returns:
        ``cosine`` (task, exponent, digit, neuron), ``amplitude`` (task, exponent,
        neuron), and ``owner`` (task, digit), the class of each digit.
    """
    tasks, exponents, seeds = trained.axes()
    digits, means = class_means(trained.data[tasks[0]][0])
    means = _units(means)
    shape = (len(tasks), len(exponents))
    shown = min(neurons, trained.about["width"])
    cosine = np.full((*shape, len(digits), shown), np.nan)
    amplitude = np.full((*shape, shown), np.nan)
    for t, e in np.ndindex(shape):
        weights = trained.networks[tasks[t], exponents[e], seeds[0]].weights()
        hidden, output = np.asarray(weights.hidden), np.asarray(weights.output)
        readout = output - output.mean(axis=1, keepdims=True)
        size = np.linalg.norm(readout, axis=1) * np.linalg.norm(hidden, axis=1)
        keep = np.argsort(-size, kind="stable")[:shown]
        signs = np.where(readout[keep, 0] > 0, 1.0, -1.0)
        amplitude[t, e] = size[keep] * (signs if output.shape[1] == 2 else 1.0)
        cosine[t, e] = means @ _units(hidden[keep]).T
    owner = [digits % TASKS[task] for task in tasks]
    return xr.Dataset(
        {
            "cosine": (("task", "exponent", "digit", "neuron"), cosine),
            "amplitude": (("task", "exponent", "neuron"), amplitude),
            "owner": (("task", "digit"), np.stack(owner)),
        },
        {"task": tasks, "exponent": exponents, "digit": digits},
        dict(trained.about),
    )


def _units(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
