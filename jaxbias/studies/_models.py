r"""Figures 2 and 7 of min-vidal-2025: robust accuracy of models of many kinds.

Trained on one data set a seed by stochastic gradient descent from Gaussian entries,
without biases, and attacked at the same fresh samples.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.networks.activations import Power, PReLU, ReLU
from jaxbias.robustness.ceilings import attack_failed, population_ceiling
from jaxbias.robustness.closed_form import nearest_centre_accuracy
from jaxbias.studies._model_runs import (
    CURVES,
    LOSS,
    Fit,
    Model,
    ends,
    own_cosines,
    train,
)
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key

_EXPONENT = 3.0
# Variances 1e-4 and 0.25.
_SMALL, _LARGE = 0.01, 0.5

MODELS: dict[str, Model | None] = {
    "prelu": Model(PReLU(_EXPONENT), _SMALL, 5.0),
    "bayes": None,
    "relu": Model(ReLU(), _SMALL, 1.0),
    "mlp": Model((3, jax.nn.relu), _SMALL, 1.0),
    "tanh": Model((1, jnp.tanh), _SMALL, 1.0),
    "logistic": Model((0, jnp.tanh), _SMALL, 1.0),
}
"""Figure 2: pReLU, the Bayes rule (not trained), ReLU, 4 layers, tanh, linear."""
PARAMETRISATIONS: dict[str, Model | None] = {
    "prelu_small": MODELS["prelu"],
    "prelu_large": Model(PReLU(_EXPONENT), _LARGE, 5.0),
    "power_small": Model(Power(_EXPONENT), _SMALL, 5.0),
    "power_large": Model(Power(_EXPONENT), _LARGE, 1.0),
}
"""Figure 7: the cubed ReLU normalised by the weights or not, at two starts."""


def compare(
    models: Mapping[str, Model | None],
    *,
    clusters: OrthonormalClusters,
    samples: int,
    width: int,
    epochs: int,
    batch: int,
    seeds: Sequence[int],
    points: int,
    radii: Float[np.ndarray, " radius"],
    root: str,
    tick: Callable[[str], None],
) -> xr.Dataset:
    r"""Robust accuracy of trained models against the $\ell_2$ radius.

    Args:
        models: by name; None stands for the Bayes rule.
        clusters: the data model, centres on the axes.
        samples: training samples.
        width: neurons of every hidden layer.
        epochs: passes over the training set.
        batch: samples a minibatch.
        seeds: a data set, and a start of every model, each.
        points: fresh samples attacked, the same for all.
        radii: increasing.
        root: names the experiment in the keys.
        tick: called before each part with what it is.

    Returns:
        ``accuracy`` (model, curve, seed, radius), the share of points left right:
        ``gradient`` by the multi-start attack on any score, ``witness`` by the
        minimum-norm attack on two-layer networks or the closed form of a linear one,
        ``attacked`` by either, ``certified`` from below; NaN where there is none.
        ``train_accuracy``, ``train_loss`` and ``status`` (model, seed) tell whether a
        model fits. ``ceiling`` (radius) is what no classifier exceeds and
        ``above_ceiling`` (model, seed) the number of radii at which ``attacked`` does,
        by more than chance explains, so that the attack must have missed something.
        ``own_cosine`` (model, seed, cluster) is the largest cosine of a neuron to each
        centre: far from 1 where centres share a neuron, which costs radius.
        ``nearest_centre`` (radius) is the closed form that the Bayes rule tends to.

    References:
        min-vidal-2025, figures 2 and 7.
    """
    fresh = clusters.sample(points, key=run_key(root, 0, "test"), dtype="float64")
    sets = [
        clusters.sample(samples, key=run_key(root, seed, "train"), dtype="float32")
        for seed in seeds
    ]
    shape = clusters.clusters, clusters.positive, clusters.dim, clusters.noise
    ceiling = population_ceiling(radii, *shape)

    def measure(name: str) -> tuple[list[Fit], np.ndarray]:
        model = models[name]
        nothing = Fit(None, "not trained", float("nan"), float("nan"))
        fits = [nothing] * len(seeds)
        if model is not None:
            tick(f"training, {name}")
            fits = train(model, sets, width, epochs, batch, root, seeds)
        tick(f"attacks, {name}")
        return fits, ends(fits, clusters, fresh, root)

    fits, found = zip(*side_by_side(measure, models), strict=True)
    lengths = np.stack(found)
    right = (lengths[..., None] > radii).sum(axis=-2)
    missing = np.isnan(lengths).any(axis=-1, keepdims=True)
    cosines = [[own_cosines(fit.network, clusters) for fit in row] for row in fits]
    runs = ("model", "seed")
    column = lambda name: [[getattr(fit, name) for fit in row] for row in fits]
    attacked = right[:, CURVES.index("attacked")]
    return xr.Dataset(
        {
            "accuracy": (
                ("model", "curve", "seed", "radius"),
                np.where(missing, np.nan, right / fresh.samples),
            ),
            "train_accuracy": (runs, column("accuracy")),
            "train_loss": (runs, column("loss")),
            "status": (runs, column("status")),
            "own_cosine": ((*runs, "cluster"), cosines),
            "above_ceiling": (runs, _failures(attacked, fresh.samples, ceiling)),
            "ceiling": ("radius", ceiling),
            "nearest_centre": (
                "radius",
                [nearest_centre_accuracy(float(r), *shape) for r in radii],
            ),
        },
        {
            "model": list(models),
            "curve": list(CURVES),
            "seed": list(seeds),
            "radius": radii,
        },
        {
            **dict(zip(("clusters", "positive", "dim", "noise"), shape, strict=True)),
            "samples": samples,
            "width": width,
            "points": points,
            "loss": LOSS,
            "epochs": epochs,
            "batch": batch,
            **{f"rate_{name}": m.rate for name, m in models.items() if m},
            **{f"scale_{name}": m.scale for name, m in models.items() if m},
        },
    )


compare_models = functools.partial(compare, MODELS)
compare_parametrisations = functools.partial(compare, PARAMETRISATIONS)


def _failures(right: np.ndarray, samples: int, ceiling: np.ndarray) -> np.ndarray:
    """At how many radii too many points were left right, (model, seed)."""
    pairs = np.vectorize(lambda k, top: attack_failed(int(k), samples, float(top)))
    return pairs(right, ceiling).sum(axis=-1)
