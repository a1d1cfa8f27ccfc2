"""Reports on a network and its radii, which may have been computed before."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxbias._checks import InputError
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Readout
from jaxbias.networks.weights import Weights
from jaxbias.robustness._inputs import check_order, check_points, unpack
from jaxbias.robustness._normal_form import NormalForm, normal_form
from jaxbias.robustness._radius import Radius
from jaxbias.robustness._reading import reading
from jaxbias.robustness.bounds import radius


@dataclass(frozen=True)
class Subject:
    """A network and its points, checked.

    With ``grouped``, classes stand for the labels +1 and -1.
    """

    network: Any
    weights: Weights
    activation: Activation
    normalise: bool
    form: NormalForm
    readout: Readout
    grouped: bool
    points: Float[np.ndarray, "sample feature"]
    labels: Int[np.ndarray, " sample"]
    order: float


def subject(
    network: Any,
    inputs: Any,
    labels: Any,
    order: float | int | str,
    readout: Readout | None,
    activation: Activation | None,
) -> Subject:
    """What a report is about.

    Raises:
        InputError: as :func:`jaxbias.robustness.radius`.
    """
    power = check_order(order)
    weights, activation, normalise = unpack(network, activation)
    form = normal_form(weights, activation, normalise_inputs=normalise)
    read = reading(form, readout)
    grouped = read.groups is not None
    points, names = check_points(inputs, labels, weights, grouped)
    return Subject(
        network,
        weights,
        activation,
        normalise,
        form,
        read.readout,
        grouped,
        points,
        names,
        power,
    )


def radii_of(of: Subject, found: Radius | None, effort: str, centres: Any) -> Radius:
    """The radii that were found, or those found now with this effort.

    Raises:
        InputError: for radii of other points, another norm or another read-out.
    """
    if found is None:
        return radius(
            of.network,
            of.points,
            of.labels,
            order=of.order,
            effort=effort,
            readout=of.readout,
            activation=of.activation,
            centres=centres,
        )
    given = (found.lower.shape, found.order, found.readout)
    asked = (of.points.shape[:1], of.order, of.readout.name)
    if given != asked:
        raise InputError(
            "radii of shape {}, order {:g}, read-out {!r}".format(*given),
            "the report is of shape {}, order {:g}, read-out {!r}".format(*asked),
            "found=radius(network, inputs, labels, order=order, readout=readout)",
        )
    return found
