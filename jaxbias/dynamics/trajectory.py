"""What a run returns."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxbias.dynamics.status import Status
from jaxbias.networks.activations import Activation
from jaxbias.networks.two_layer import TwoLayerNetwork
from jaxbias.networks.weights import Weights


class Trajectory(eqx.Module):
    """Observables along a gradient flow or descent, its end, and how it got there.

    Attributes:
        times: When the observables were recorded, in the flow's clock.
        observables: Values by name, leading axis ``time``; NaN where a run did not
            get that far.
        status: A ``Status``; look at it before averaging.
        statistics: ``evaluations`` of the right-hand side, ``accepted`` and
            ``rejected`` steps, and per accepted step the shares of (sample, neuron)
            pairs that met their kink with attractive (``sliding``) or
            ``repelling`` one-sided drifts; 0 for smooth activations, NaN where they
            are not counted, as in a descent. ``error_estimate``: the relative error of
            outputs, where it was largest, from the local errors of adaptive steps (NaN
            of equal steps and of a descent). It is weak where a saved value feels
            outputs more than in proportion: what is left of a squared loss may be off
            by ten times the estimate at p = 3, and with ``final outputs``, where it
            has been wrong by orders of magnitude on the way, by any factor.
            ``balance_error``: how far, at some saved
            time, the norm of a neuron's weights was from what the conservation law says
            (with a frozen output layer, from the norm that the flow used).
        final: Weights at the end.
        activation: Activation of the network.
        form: ``reduced`` (scores and dual coefficients) or ``raw`` (weights).
    """

    times: Float[Array, " time"]
    observables: dict[str, Any]
    status: Array
    statistics: dict[str, Array]
    final: Weights
    activation: Activation = eqx.field(static=True)
    form: str = eqx.field(static=True)

    @property
    def finished(self) -> bool:
        """Whether the final time was reached with a finite state."""
        return bool(np.all(np.asarray(self.status) == Status.FINISHED))

    @property
    def network(self) -> TwoLayerNetwork:
        """The trained network, as a flax module."""
        return TwoLayerNetwork(self.final, self.activation)
