"""Perturbations found on a thinned network, moved to the boundary of the whole one.

A merged neuron points a little elsewhere than those it stands for. A projection on the
tangent at the perturbed point undoes that: exactly for ReLU networks, to second order
for smooth ones.
"""

import numpy as np
from jaxtyping import Float, Int

from jaxbias.robustness._normal_form import NormalForm
from jaxbias.robustness._profile import power


def relinearised(
    form: NormalForm,
    points: Float[np.ndarray, "sample feature"],
    labels: Int[np.ndarray, " sample"],
    steps: Float[np.ndarray, "sample feature"],
    order: float | int,
) -> Float[np.ndarray, "sample feature"]:
    r"""The shortest steps to the tangents of the network at the ends of the given ones.

    $(\langle g,\delta\rangle - f(x+\delta))\,d/\|g\|_{q^*}$, g the gradient at
    $x + \delta$ and d its dual direction.

    Args:
        form: a network with one output.
        points: the clean inputs.
        labels: +1 and -1.
        steps: perturbations to start from.
        order: 2 or infinity.
    """
    moved = points + steps
    scores = form.scores(moved)
    p, leak = form.activation.degree, getattr(form.activation, "leak", 0.0)
    on = scores > 0
    active = np.where(on, scores, 0.0)
    heights = power(active, p) + leak * np.minimum(scores, 0.0)
    values = heights @ form.amplitudes + form.constants(moved, float(form.constant))
    slope = np.where(on, p * power(active, p - 1) if p > 1 else 1.0, leak)
    gradient = labels[:, None] * ((slope * form.amplitudes) @ form.rows)
    excess = (gradient * steps).sum(1) - labels * values
    if np.isinf(order):
        direction, size = np.sign(gradient), np.abs(gradient).sum(1)
    else:
        direction, size = gradient, (gradient**2).sum(1)
    share = np.divide(excess, size, out=np.zeros_like(excess), where=size > 0)
    return share[:, None] * direction
