"""Random two-layer networks of every odd kind, one shape, and their forward pass.

Shared by the metamorphic relations, the contradictions and the script that runs both at
length. Nothing of the package is used to evaluate a network here.
"""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from jaxbias.networks.activations import Power, PReLU, ReLU
from jaxbias.networks.weights import Weights
from jaxbias.robustness import radius

# One neuron more still has the compiled size, a power of two.
DIM, NEURONS, POINTS, CLASSES = 5, 7, 8, 3
ACTIVATIONS = {1.0: ReLU(), 1.5: Power(1.5), 2.0: PReLU(2.0), 3.0: Power(3.0)}
NORMALISED = {1.5: PReLU(1.5), 3.0: PReLU(3.0), 2.0: Power(2.0)}
ORDERS = (2.0, np.inf)
EFFORTS = ("attack", "bounds", "tight", "exact")
KINDS = (
    "generic",
    "zero column",
    "kink",
    "duplicate points",
    "parallel neurons",
    "near duplicates",
    "one sign",
    "whole numbers",
    "origin",
    "single precision",
    "large biases",
    "small biases",
    "no live neuron",
    "one live neuron",
)
# Of the sum of all terms: what another order of summation may change.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Case:
    """A network, its points and the norm in which they are measured.

    Attributes:
        hidden: (neuron, feature).
        output: (neuron,), or (neuron, class).
        bias: (neuron,) or None.
        constant: a number, (class,), or None.
        activation: with its exponent.
        points: (point, feature).
        labels: signs, or class numbers.
        order: 2 or infinity.
        box: lowest and highest inputs, (feature,) each, or None.
        whole: all numbers are whole, so that outputs may be 0 on a region; rounding
            would end such ties.
    """

    hidden: np.ndarray
    output: np.ndarray
    bias: np.ndarray | None
    constant: np.ndarray | None
    activation: object
    points: np.ndarray
    labels: np.ndarray
    order: float
    box: tuple[np.ndarray, np.ndarray] | None = None
    whole: bool = False

    @property
    def weights(self):
        arrays = self.hidden, self.output, self.bias, self.constant
        parts = [None if part is None else jnp.asarray(part) for part in arrays]
        return Weights(*parts, jnp.ones(len(self.hidden), bool))

    def radius(self, effort, **options):
        """The package's intervals."""
        return radius(
            self.weights,
            self.points,
            self.labels,
            activation=self.activation,
            order=self.order,
            effort=effort,
            box=self.box,
            **options,
        )

    def rows(self, index):
        """The same network at some of the points, in that order."""
        return replace(self, points=self.points[index], labels=self.labels[index])

    def outputs(self, inputs, sizes=False):
        """Outputs, or the sums of the sizes of all their terms."""
        power = self.activation.degree
        bias = 0.0 if self.bias is None else self.bias
        constant = 0.0 if self.constant is None else self.constant
        output = self.output
        scores = inputs @ self.hidden.T + bias
        if sizes:
            scores = np.abs(inputs) @ np.abs(self.hidden.T) + np.abs(bias)
            output, constant = np.abs(output), np.abs(constant)
        active = np.maximum(scores, 0.0) ** power
        if self.activation.normalised:
            norms = np.sqrt((self.hidden**2).sum(1) + np.square(bias))
            active = active / np.where(norms > 0, norms, 1.0) ** (power - 1)
        return active @ output + constant

    def margins(self, inputs, labels, sizes=False):
        """Positive where the label is right; a tie is 0."""
        found = self.outputs(inputs, sizes)
        if sizes:
            return found if found.ndim == 1 else found.sum(-1)
        if found.ndim == 1:
            return labels * found
        own = np.arange(found.shape[-1]) == labels[:, None]
        rival = np.where(own, -np.inf, found).max(-1)
        return found[own] - rival

    def slopes(self, inputs, labels):
        """Gradients of the margins, of the leading rival where there are several."""
        power = self.activation.degree
        bias = 0.0 if self.bias is None else self.bias
        active = np.maximum(inputs @ self.hidden.T + bias, 0.0)
        inner = power * np.where(active > 0, active, 1.0) ** (power - 1) * (active > 0)
        if self.activation.normalised:
            norms = np.sqrt((self.hidden**2).sum(1) + np.square(bias))
            inner = inner / np.where(norms > 0, norms, 1.0) ** (power - 1)
        if self.output.ndim == 1:
            return labels[:, None] * ((inner * self.output) @ self.hidden)
        found = self.outputs(inputs)
        own = np.arange(found.shape[-1]) == labels[:, None]
        rival = np.where(own, -np.inf, found).argmax(-1)
        ahead = self.output.T[labels] - self.output.T[rival]
        return (inner * ahead) @ self.hidden

    def length(self, steps):
        """Norms of steps."""
        return np.linalg.norm(steps, self.order, axis=-1)


def draw(rng, kind, exponent, order, *, biased, classes, boxed, normalised=False):
    """A network of that kind with points, one of them wrong when clean.

    Args:
        rng: a NumPy generator.
        kind: of ``KINDS``.
        exponent: of ``ACTIVATIONS``.
        order: 2 or infinity.
        biased: whether hidden units and outputs have biases.
        classes: several outputs instead of one.
        boxed: whether there is a box, which the first point touches.
        normalised: the other activation of that exponent.
    """
    shape = (NEURONS, CLASSES) if classes else (NEURONS,)
    hidden, output = rng.normal(size=(NEURONS, DIM)), rng.normal(size=shape)
    bias, constant = 0.5 * rng.normal(size=NEURONS), 0.3 * rng.normal(size=shape[1:])
    points = rng.normal(size=(POINTS, DIM))
    half = NEURONS // 2
    family = NORMALISED if normalised and exponent != 1 else ACTIVATIONS
    # Terms cancel exactly, and must do so in every order: no roots, no quotients.
    plain = exponent % 1 == 0 and not family[exponent].normalised
    if kind == "whole numbers" and not plain:
        kind = "generic"
    if kind == "zero column":
        hidden[:, -1] = 0.0
    elif kind == "kink":
        # Neurons 0 and 1 are exactly 0 at points 0 and 1.
        hidden[0], hidden[1] = np.eye(DIM)[0], -2 * np.eye(DIM)[1]
        bias[:2] = -0.5, 0.5
        points[0, 0], points[1, 1] = (0.5, 0.25) if biased else (0.0, 0.0)
    elif kind == "duplicate points":
        points[1:3] = points[0]
    elif kind in ("parallel neurons", "near duplicates"):
        stretch = np.exp(rng.normal(size=(half, 1)))
        hidden[half : 2 * half] = stretch * hidden[:half]
        bias[half : 2 * half] = stretch[:, 0] * bias[:half]
        if kind == "near duplicates":
            apart = 10.0 ** rng.uniform(-9, -2)
            hidden[half : 2 * half] += apart * rng.normal(size=(half, DIM))
    elif kind == "one sign":
        output = -np.abs(output)
    elif kind == "whole numbers":
        whole = lambda array: np.rint(2 * array)
        hidden, output, points = whole(hidden), whole(output), whole(points)
        bias, constant = whole(bias), whole(constant)
    elif kind == "origin":
        points[0] = 0.0
    elif kind == "single precision":
        parts = hidden, output, bias, constant, points
        hidden, output, bias, constant, points = (
            part.astype(np.float32).astype(float) for part in map(np.asarray, parts)
        )
    elif kind == "large biases":
        bias, constant = 8 * bias, 8 * constant
    elif kind == "small biases":
        bias, constant = 1e-4 * bias, 1e-4 * constant
    elif kind == "no live neuron":
        output = np.zeros(shape)
    elif kind == "one live neuron":
        output[1:] = 0.0
    case = Case(
        hidden,
        output,
        bias if biased else None,
        np.asarray(constant) if biased else None,
        family[exponent],
        points,
        np.ones(POINTS),
        order,
        whole=kind == "whole numbers",
    )
    found = case.outputs(points)
    if classes:
        labels = found.argmax(-1)
        # Every class owns a point, whatever it says, so that one program serves all.
        labels[-CLASSES:] = np.arange(CLASSES)
    else:
        labels = np.where(found > 0, 1, -1)
        labels[-1] *= -1
    if boxed:
        low, high = points.min(0), points.max(0)
        room = rng.uniform(0, 0.3, size=(2, DIM))
        # A side that touches the first point, and one input that cannot move far.
        low = np.where(np.arange(DIM) == 1, points[:, 1].min(), low - room[0])
        case = replace(case, box=(low, high + room[1]))
    return replace(case, labels=labels)
