"""Perturbations found on a thinned network, moved to the boundary of the whole one.

A merged neuron points a little elsewhere than those it stands for. A projection on the
tangent at the perturbed point undoes that: exactly for ReLU networks, to second order
for smooth ones.
"""

import numpy as np
from jaxtyping import Float, Int

from jaxbias.robustness._blocks import product
from jaxbias.robustness._normal_form import NormalForm, Sites, plain
from jaxbias.robustness._profile import power


def relinearised(
    form: NormalForm,
    points: Sites | Float[np.ndarray, "sample feature"],
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
    sites = plain(points)
    moved = Sites(sites.inputs + steps, sites.exponent)
    scores = form.scores(moved)
    p, leak = form.activation.degree, getattr(form.activation, "leak", 0.0)
    active = np.maximum(scores, 0.0)
    heights, slope = power(active, p), (scores > 0).astype(float)
    if p > 1:
        slope = p * power(active, p - 1)
    if leak:
        heights = heights + leak * np.minimum(scores, 0.0)
        slope = np.where(scores > 0, slope, leak)
    values = np.einsum("ij,j->i", heights, form.amplitudes) + form.constants(moved)
    gradient = product(slope * labels[:, None] * form.amplitudes, form.rows)
    excess = np.einsum("ij,ij->i", gradient, steps) - labels * values
    if np.isinf(order):
        direction, size = np.sign(gradient), np.abs(gradient).sum(1)
    else:
        direction, size = gradient, np.einsum("ij,ij->i", gradient, gradient)
    share = np.divide(excess, size, out=np.zeros_like(excess), where=size > 0)
    return share[:, None] * direction
