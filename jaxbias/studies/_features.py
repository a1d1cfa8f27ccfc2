"""pReLU networks on precomputed features: the Caltech256 experiment."""

import os
from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxbias.data.features import load_features
from jaxbias.studies._classifiers import Tick, robust_accuracies, train_classifiers


def train_on_features(
    path: str | os.PathLike,
    *,
    exponents: Sequence[float],
    seeds: Sequence[int],
    width: int,
    epochs: int,
    batch: int,
    points: int,
    radii: np.ndarray,
    steps: int,
    root: str,
    tick: Tick,
    superclasses: int = 10,
    test_share: float = 0.2,
) -> xr.Dataset:
    r"""Clean, attacked and certified accuracy of networks on features of a file.

    The paper: ResNet152 features of Caltech256, ten superclasses, input-normalised
    pReLU networks of width 2000 without output bias, 51 epochs of Adam at 1e-3 in
    batches of 1000, and APGD on the cross-entropy up to 0.1 in $\ell_\infty$ of the
    features. The table is drawn as those of MNIST are (kind ``mnist``).

    Args:
        path: an ``.npz`` with ``features`` and ``labels``; see :func:`load_features`.
        exponents: p of each family.
        seeds: of weights and minibatches; the split is the same for all.
        width: hidden neurons.
        epochs: passes over the data.
        batch: samples a minibatch; all where there are fewer.
        points: test rows attacked, the first ones.
        radii: increasing budgets of the paper's attack, from 0.
        steps: its iterations.
        root: names the experiment.
        tick: told what is being done.
        superclasses: number of superclasses.
        test_share: share of the samples in the test set.

    Raises:
        InputError: as :func:`load_features`.

    References:
        min-vidal-2024, section 5.2 and released code.
    """
    both = load_features(
        path, superclasses=superclasses, test_share=test_share, dtype="float32"
    )
    trained = train_classifiers(
        {"features": both},
        exponents=exponents,
        seeds=seeds,
        width=width,
        epochs=epochs,
        batch=batch,
        output_bias=False,
        root=root,
        tick=tick,
    )
    table = robust_accuracies(
        trained, points=points, radii=radii, steps=steps, root=root, tick=tick
    )
    return table.assign_attrs(plot="mnist")
