r"""Two-layer networks as $f(x) = \sum_j a_j\,\psi(\langle x, u_j\rangle + b_j) + c$.

Layers are first divided by powers of two, which change no sign and no digit, and every
point has a unit of length of its own, a power of two again: networks and inputs of any
finite scale are the same problem. Neurons are compared as hyperplanes: their rows have
length 1 without the bias, so that an offset is a length.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights
from jaxbias.robustness._blocks import product

# Of the binary exponents of numbers that may stand for a length.
_LOWEST = -1080.0
LIKENESS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-9, 1e-13)
"""1 - cosine below which neurons are merged, tried from the coarsest."""
# Directions of more coordinates are compared by so many random combinations of them.
_SKETCH = 64
# Rounding of distances that are found from products, and rows compared at a time.
_ROUGH, _BAND = 1e-12, 256
# Share of all amplitudes.
_NEGLIGIBLE = 1e-9


class Sites(NamedTuple):
    r"""Points in their own units of length $2^e$.

    Attributes:
        inputs: $x / 2^e$.
        exponent: e, whole numbers.
    """

    inputs: Float[np.ndarray, "sample feature"]
    exponent: Float[np.ndarray, " sample"]

    def take(self, index: np.ndarray) -> "Sites":
        """The sites of these numbers."""
        return Sites(self.inputs[index], self.exponent[index])


class Kin:
    r"""Which neurons of one output are alike, whatever points are looked at.

    Offsets count in units of their mean, so that no unit of the inputs is preferred.
    """

    def __init__(self, rows: np.ndarray, offsets: np.ndarray, amplitudes: np.ndarray):
        self._rows, self._offsets, self._amplitudes = rows, offsets, amplitudes
        self._groups: dict[float, np.ndarray] = {}

    @property
    def masses(self) -> Float[np.ndarray, " neuron"]:
        """Sizes of the amplitudes."""
        return np.abs(self._amplitudes)

    @functools.cached_property
    def negligible(self) -> Bool[np.ndarray, " neuron"]:
        """The smallest neurons, a tiny share of all together."""
        order = np.argsort(self.masses, kind="stable")
        share = np.cumsum(self.masses[order])
        small = np.zeros(len(order), bool)
        small[order[share <= _NEGLIGIBLE * share[-1]]] = True
        small[order[-1]] = False
        return small

    def without(self, dropped: Bool[np.ndarray, " neuron"]) -> "Kin":
        """The kin of the other neurons."""
        arrays = (self._rows, self._offsets, self._amplitudes)
        return Kin(*(array[~dropped] for array in arrays))

    def group(self, likeness: float) -> Int[np.ndarray, " neuron"]:
        """Numbers of groups of amplitudes of one sign that are close to a leader.

        Leaders are the largest of those left over; likeness bounds 1 - cosine.
        """
        if likeness not in self._groups:
            self._groups[likeness] = self._grouped(likeness)
        return self._groups[likeness]

    @functools.cached_property
    def _units(self) -> np.ndarray:
        mass, size = self.masses, np.abs(self._offsets)
        with np.errstate(under="ignore"):
            mean = float((mass * size).sum()) / (float(mass.sum()) or 1.0)
        offsets = self._offsets / mean if mean > 0 else 0 * self._offsets
        units = np.concatenate([self._rows, offsets[:, None]], axis=1)
        if units.shape[1] > _SKETCH:
            # Distances to a fifth: who goes with whom is a guess, its price is not.
            units = units @ _sketch(units.shape[1])
        return units

    @functools.cached_property
    def _apart(self) -> np.ndarray:
        """How far the nearest other neuron is, as 1 - cosine, up to rounding."""
        units, found = self._units, np.zeros(len(self._units))
        squares = np.einsum("ij,ij->i", units, units) / 2
        for start in range(0, len(units), _BAND):
            band = np.arange(start, min(start + _BAND, len(units)))
            far = squares[band, None] + squares - units[band] @ units.T
            far[np.arange(len(band)), band] = np.inf
            # Offsets are compared as they are and may be large.
            found[band] = far.min(1) - _ROUGH * (squares[band] + squares.max())
        return found

    def _grouped(self, likeness: float) -> np.ndarray:
        units, amplitudes = self._units, self._amplitudes
        group = np.full(len(units), -1)
        alone = self._apart > likeness + _ROUGH
        count = int(alone.sum())
        group[alone] = np.arange(count)
        for leader in np.argsort(-np.abs(amplitudes), kind="stable"):
            if group[leader] >= 0:
                continue
            left = np.flatnonzero(group < 0)
            # As differences, which cosines near 1 would lose.
            apart = ((units[left] - units[leader]) ** 2).sum(1) / 2
            near = (apart <= likeness) & (amplitudes[left] * amplitudes[leader] > 0)
            group[left[near]] = count
            group[leader] = count
            count += 1
        return group


@functools.lru_cache(maxsize=4)
def _sketch(dim: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(dim, _SKETCH)) / np.sqrt(_SKETCH)


@dataclass(frozen=True)
class NormalForm:
    r"""A network with neurons of unit weight, in float64.

    Homogeneity of degree p moves the norms into the amplitudes: $a_j = v_j\|w_j\|^p$,
    where the activation is normalised divided by $\|(w_j, b_j)\|^{p-1}$.

    Attributes:
        rows: unit weights $u_j$.
        offsets: $b_j$, in the unit of the inputs.
        amplitudes: $a_j$, or one row of classes a neuron.
        constant: $c$ before the division.
        activation: $\psi$.
        scaled_constant: the constant is to be multiplied by $\|x\|^{p-1}$, because the
            network divides its hidden units by it.
        augmented: that norm is of $(x, 1)$.
        exponent: the outputs were divided by two to this power.
        layers: binary exponents that the hidden and the output layer were divided by.
        output: output weights of all neurons as they came, 0 of dead ones: signs of
            their differences are exact, which those of amplitudes need not be.
    """

    rows: Float[np.ndarray, "neuron feature"]
    offsets: Float[np.ndarray, " neuron"]
    amplitudes: Float[np.ndarray, " neuron"] | Float[np.ndarray, "neuron class"]
    constant: Float[np.ndarray, ""] | Float[np.ndarray, " class"]
    activation: Activation
    scaled_constant: bool
    augmented: bool
    exponent: float
    layers: tuple[int, int]
    output: Float[np.ndarray, "all"] | Float[np.ndarray, "all class"]

    @property
    def classes(self) -> int | None:
        """Number of outputs, or None for one score."""
        return None if self.amplitudes.ndim == 1 else self.amplitudes.shape[1]

    @functools.cached_property
    def kin(self) -> Kin | None:
        """Which neurons are alike; None for several outputs."""
        if self.classes is not None:
            return None
        return Kin(self.rows, self.offsets, self.amplitudes)

    def sites(self, inputs: Float[np.ndarray, "sample feature"]) -> Sites:
        """The points in units that fit them, the kinks and the constant."""
        top = exponent_of(np.abs(inputs).max(1, initial=0.0))
        far = exponent_of(np.abs(self.offsets).max(initial=0.0))
        level = self._level()
        exponent = np.maximum(np.maximum(top, far), level)
        exponent = np.where(exponent <= _LOWEST, 0.0, exponent)
        return Sites(scaled(inputs, -exponent[:, None]), exponent)

    def _level(self) -> float:
        """The binary exponent of steps whose outputs are of the constant's size."""
        size = float(exponent_of(np.abs(self.constant).max()))
        if size <= _LOWEST or self.scaled_constant:
            return _LOWEST
        mass = float(np.log2(max(np.abs(self.amplitudes).sum(), 1e-300)))
        return float(np.floor((size - self.exponent - mass) / self.activation.degree))

    def scores(
        self, sites: Sites | Float[np.ndarray, "sample feature"]
    ) -> Float[np.ndarray, "sample neuron"]:
        """Pre-activations of the unit neurons, in the units of the sites."""
        inputs, exponent = plain(sites)
        offsets = scaled(self.offsets[None], -exponent[:, None])
        return product(inputs, self.rows.T) + offsets

    def constants(
        self, sites: Sites | Float[np.ndarray, "sample feature"]
    ) -> Float[np.ndarray, " sample"] | Float[np.ndarray, "sample class"]:
        """The constant at each site, up to the positive factor of the hidden units."""
        inputs, exponent = plain(sites)
        found = self.levels(exponent)
        if not self.scaled_constant:
            return found
        squares = (inputs**2).sum(1) + self.extra(exponent)
        factor = squares ** ((self.activation.degree - 1) / 2)
        return found * (factor if found.ndim == 1 else factor[:, None])

    def levels(self, exponent: Float[np.ndarray, " sample"]) -> np.ndarray:
        """The constant in units of these lengths, before it is multiplied."""
        degree = 1.0 if self.scaled_constant else self.activation.degree
        down = -(self.exponent + degree * exponent)
        if self.constant.ndim:
            return scaled(self.constant[None], down[:, None])
        return scaled(self.constant, down)

    def extra(self, exponent: Float[np.ndarray, " sample"]) -> np.ndarray:
        r"""What $\|(x,1)\|^2$ has beyond $\|x\|^2$, in the units of the sites."""
        if not self.augmented:
            return np.zeros_like(exponent)
        return scaled(np.ones_like(exponent), -2 * exponent)


def plain(sites: Sites | np.ndarray) -> Sites:
    """Sites, or points in the unit 1."""
    if isinstance(sites, Sites):
        return sites
    return Sites(sites, np.zeros(len(sites)))


def scaled(array: Any, exponent: Any) -> Any:
    """The array times two to the exponents; exact for whole ones."""
    array, exponent = np.asarray(array, np.float64), np.asarray(exponent, np.float64)
    whole = np.floor(exponent)
    with np.errstate(over="ignore", under="ignore"):
        part = array * np.exp2(exponent - whole)
        return np.ldexp(part, np.clip(whole, -4000, 4000).astype(int))


def exponent_of(sizes: Any) -> Any:
    """The least whole e with $2^e$ above each size, far below all others for 0."""
    _, exponent = np.frexp(sizes)
    return np.where(np.asarray(sizes) > 0, exponent.astype(float), _LOWEST)


def normal_form(
    weights: Weights,
    activation: Activation,
    *,
    normalise_inputs: bool = False,
    compact: bool = True,
    divided: bool = True,
) -> NormalForm:
    """The normal form of a network, its numbers taken as exact.

    Args:
        weights: the network; masked neurons are inert.
        activation: its activation.
        normalise_inputs: its hidden units are divided by ``|x|^(p-1)``.
        compact: drop the neurons that cannot contribute; keep them, with amplitude 0,
            where arrays of several networks must have one shape.
        divided: outputs may be divided by a power of two.
    """
    hidden = np.asarray(weights.hidden, np.float64)
    output = given = np.asarray(weights.output, np.float64)
    alive = np.asarray(weights.mask, bool)
    biased = weights.hidden_bias is not None
    bias = np.asarray(weights.hidden_bias, np.float64) if biased else 0 * hidden[:, 0]
    largest = np.abs(hidden[alive]).max(initial=0.0)
    if not largest:
        largest = np.abs(bias[alive]).max(initial=0.0)
    first = int(exponent_of(largest)) if largest else 0
    hidden, bias = scaled(hidden, -first), scaled(bias, -first)
    second = 0
    if divided and np.abs(output[alive]).any():
        second = int(exponent_of(np.abs(output[alive]).max()))
    output = scaled(output, -second)

    spatial = _lengths(hidden)
    # A neuron that reads no input has a row of zeros and an offset of 1.
    norms = np.where(spatial > 0, spatial, np.abs(bias))
    # One that never responds is none.
    never = (spatial == 0) & (bias <= 0) & (getattr(activation, "leak", 0.0) == 0)
    alive = alive & (norms > 0) & ~never
    safe = np.where(alive, norms, 1.0)
    factor = np.where(alive, safe**activation.degree, 0.0)
    p = activation.degree
    degree = 1.0 if activation.normalised else p
    if activation.normalised and biased:
        both = _lengths(np.concatenate([hidden, bias[:, None]], axis=1))
        factor = factor * np.where(alive, both, 1.0) ** (1 - p)
    elif activation.normalised:
        factor = np.where(alive, safe, 0.0)
    amplitudes = output * (factor if output.ndim == 1 else factor[:, None])
    third = 0
    if divided and np.abs(amplitudes).any():
        third = int(exponent_of(np.abs(amplitudes).max()))
        amplitudes = scaled(amplitudes, -third)
    exponent = second + third + degree * first
    if not divided:
        amplitudes, exponent = scaled(amplitudes, exponent), 0.0
        first = second = 0
    rows = np.where(alive[:, None], hidden / safe[:, None], 0.0)
    offsets = np.where(alive, bias / safe, 0.0)
    # What cannot contribute takes no part in any unit of length either.
    keep = np.abs(amplitudes).reshape(len(rows), -1).max(1, initial=0.0) > 0
    rows, offsets = np.where(keep[:, None], rows, 0.0), np.where(keep, offsets, 0.0)
    if compact:
        keep[:1] |= not keep.any()
        rows, offsets, amplitudes = rows[keep], offsets[keep], amplitudes[keep]
    classes = () if output.ndim == 1 else output.shape[1:]
    constant = np.zeros(classes)
    if weights.output_bias is not None:
        constant = np.asarray(weights.output_bias, np.float64)
    return NormalForm(
        rows=rows,
        offsets=offsets,
        amplitudes=amplitudes,
        constant=constant,
        activation=activation,
        scaled_constant=normalise_inputs and activation.degree != 1,
        augmented=biased,
        exponent=float(exponent),
        layers=(first, second),
        output=np.where(alive if output.ndim == 1 else alive[:, None], given, 0.0),
    )


def _lengths(rows: np.ndarray) -> np.ndarray:
    """Lengths of rows that neither overflow nor underflow, the same in any unit."""
    exponent = exponent_of(np.abs(rows).max(1, initial=0.0))
    unit = scaled(rows, -exponent[:, None])
    return scaled(np.sqrt(np.einsum("ij,ij->i", unit, unit)), exponent)
