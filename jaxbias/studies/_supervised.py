"""The protocol of class labels against cluster labels, and the networks it trains."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxbias._checks import InputError, one_of, positive_int
from jaxbias.data.dataset import Dataset
from jaxbias.data.features import load_features
from jaxbias.data.images import digits
from jaxbias.data.mnist import mnist
from jaxbias.studies._classifiers import Classifiers, Tick, train_classifiers

DATA = ("digits", "mnist", "features")
TASKS = ("parity", "halves")
#: The name of what is trained on all classes.
CLUSTERS = "clusters"
#: ReLU: what the theory of feature averaging speaks of.
EXPONENT = 1.0


@dataclass(frozen=True)
class Supervision:
    r"""The protocol, fixed before it is run.

    Attributes:
        data: ``"digits"``, ``"mnist"``, or ``"features"`` of a file.
        path: that file, as :func:`jaxbias.data.features.load_features` reads it.
        tasks: ``"parity"`` (even classes against odd) and ``"halves"`` (the first half
            of the classes against the rest).
        seeds: of weights and minibatches.
        width: hidden neurons.
        epochs: passes over the data.
        batch: samples a minibatch.
        points: test rows attacked: the first of every class, equally many of each.
        largest: the largest $\ell_2$ radius in the unit of the rows, pixels being in
            [0, 1]; nothing is clipped.
        budgets: radii of the papers' attack, from 0 to the largest.
        steps: its iterations.

    Raises:
        InputError: for unknown data or tasks, features without a file and a file
            without features, fewer than 3 seeds, sizes below 1 and a largest radius
            that is not positive.
    """

    data: str = "digits"
    path: str | None = None
    tasks: tuple[str, ...] = TASKS
    seeds: int = 3
    width: int = 100
    epochs: int = 60
    batch: int = 100
    points: int = 100
    largest: float = 1.2
    budgets: int = 13
    steps: int = 7

    def __post_init__(self):
        one_of("data", self.data, DATA)
        for task in self.tasks:
            one_of("task", task, TASKS)
        if (self.path is not None) != (self.data == "features"):
            raise InputError(
                f"data={self.data!r} with path={self.path!r}",
                "a file is needed for features and for nothing else",
                "Supervision(data='features', path='features.npz')",
            )
        for name in ("width", "epochs", "batch", "points", "steps"):
            positive_int(name, getattr(self, name))
        for name, least, why in (
            ("seeds", 3, "their spread is shown beside the median"),
            ("budgets", 2, "a curve has two ends"),
        ):
            if getattr(self, name) < least:
                got = f"{name}={getattr(self, name)!r}"
                raise InputError(got, why, f"{name}={least}")
        if not self.largest > 0:
            raise InputError(
                f"largest={self.largest!r}", "radii go up from 0", "largest=1.2"
            )


DIGITS = Supervision()
DIGITS_PAPER = Supervision(seeds=8, width=500, epochs=200, points=350, budgets=25)
MNIST_QUICK = Supervision(
    "mnist", width=200, epochs=3, points=200, largest=2.0, budgets=11
)
MNIST = Supervision(
    "mnist", width=500, epochs=51, batch=1000, points=500, largest=2.0, budgets=21
)


def images(settings: Supervision) -> tuple[Dataset, Dataset]:
    """Training and test set, labelled by classes from 0.

    Raises:
        InputError: where the files are missing or damaged, and for classes that are
            not all of 0, 1, ..., at least 3.
    """
    if settings.data == "digits":
        train, test = digits("class", dtype="float32")
    elif settings.data == "mnist":
        train, _, test = mnist("class", dtype="float32")
    else:
        assert settings.path is not None
        parts = load_features(settings.path, superclasses=2, dtype="float32")
        train, test = (_labelled(part, part.clusters) for part in parts)
    present = np.unique(np.asarray(train.labels))
    if len(present) < 3 or len(present) != present[-1] + 1:
        raise InputError(
            f"training rows of classes {present.tolist()}",
            "several classes make one label, and each of 0, 1, ... needs a row",
            "numpy.unique(labels, return_inverse=True)[1] of 3 classes or more",
        )
    return train, test


def sides(task: str, classes: int) -> np.ndarray:
    """0 for each class that stands for label +1, and 1 for the others."""
    number = np.arange(classes)
    return number % 2 if task == "parity" else (number >= classes // 2).astype(int)


def train_supervised(settings: Supervision, *, root: str, tick: Tick) -> Classifiers:
    """Networks of two labels, one a task, and of all classes, of the same start.

    Args:
        settings: the protocol.
        root: names the experiment.
        tick: told what is being done.

    Returns:
        Networks of p = 1; ``"clusters"`` names those that were given all classes.

    Raises:
        InputError: as :func:`images`.
    """
    both = images(settings)
    data = {CLUSTERS: both}
    for task in settings.tasks:
        side = sides(task, classes_of(both))
        train, test = (_labelled(part, side[part.labels]) for part in both)
        data[task] = train, test
    return train_classifiers(
        data,
        exponents=(EXPONENT,),
        seeds=range(settings.seeds),
        width=settings.width,
        epochs=settings.epochs,
        batch=settings.batch,
        output_bias=True,
        root=root,
        tick=tick,
    )


def classes_of(both: tuple[Dataset, Dataset]) -> int:
    """The number of classes of a training set."""
    return int(np.max(np.asarray(both[0].labels))) + 1


def _labelled(data: Dataset, labels: Array | np.ndarray) -> Dataset:
    return Dataset(data.inputs, jnp.asarray(labels, jnp.int32), data.clusters)
