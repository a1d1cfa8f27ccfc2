"""The attacks of the image experiments: the paper's, and our best from above."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxbias.networks.readouts import Readout
from jaxbias.networks.two_layer import TwoLayerNetwork
from jaxbias.robustness import apgd
from jaxbias.robustness._ascent import increasing
from jaxbias.robustness._radius import Radius
from jaxbias.robustness.bounds import radius
from jaxbias.robustness.minimum_norm import Search

# Lighter than the default: on networks of ten epochs the default broke no further
# point of MNIST beyond this and APGD.
_SEARCH = Search(picks=1, projections=8, kept=1, descents=10, polish=4)


def withstood(
    network: TwoLayerNetwork,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    key: Key[Array, ""],
    steps: int = 100,
) -> Bool[np.ndarray, "radius sample"]:
    r"""Which points APGD on the cross-entropy leaves right in $\ell_\infty$.

    One random start, no box: the settings of AutoAttack's first stage, which is all of
    AutoAttack that the paper runs.

    Args:
        network: a classifier.
        inputs: points, (sample, feature).
        labels: class numbers, (sample,).
        radii: increasing budgets, (radius,).
        key: for the random start; consumed.
        steps: iterations.

    Raises:
        InputError: as :func:`jaxbias.robustness.apgd.broken`.

    References:
        croce-hein-2020; min-vidal-2024, section 5.2.
    """
    return ~apgd.broken(
        network.weights(),
        network.activation,
        inputs,
        labels,
        radii,
        key=key,
        steps=steps,
        normalise_inputs=network.normalise_inputs,
    )


def ends(
    network: TwoLayerNetwork,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = "inf",
    readout: Readout | None = None,
) -> Radius:
    """Both ends of the radii, by a search fit for thousands of points.

    Args:
        network: a classifier.
        inputs: points, (sample, feature).
        labels: class numbers, or +1 and -1 where the read-out takes these, (sample,).
        order: 2 or infinity.
        readout: how outputs decide; the largest one when left out.

    Raises:
        InputError: as :func:`jaxbias.robustness.radius`.
    """
    return radius(network, inputs, labels, order=order, readout=readout, search=_SEARCH)


def upper_ends(
    found: Radius, right: Bool[np.ndarray, "radius sample"], radii: Any
) -> Float[np.ndarray, " sample"]:
    """The smaller of the witnessed radius and the first at which the attack breaks.

    Args:
        found: radii of the points.
        right: what the attack left right, as :func:`withstood` gives it.
        radii: its budgets.

    Raises:
        InputError: for budgets that do not increase from 0 or more.
    """
    budgets = increasing(radii)
    first = np.where(right.all(axis=0), np.inf, budgets[np.argmin(right, axis=0)])
    return np.minimum(found.upper, first)
