r"""Scalar problems in normal form, one a lane: what every certificate works on.

A lane is a point and a function that must stay positive for its label to stand,
$$f(x_0+\delta) = \sum_j c^+_j \psi(z_j + \langle u_j,\delta\rangle)
 - \sum_j c^-_j \psi(z_j + \langle u_j,\delta\rangle)
 + \langle \ell, \delta\rangle + c ,\qquad c^\pm \ge 0,$$
a difference of two convex functions. With several classes a point has one lane a rival.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from jaxbias.networks.activations import LeakyReLU
from jaxbias.robustness._blocks import product
from jaxbias.robustness._normal_form import Kin, NormalForm, Sites, plain
from jaxbias.robustness._profile import Profile


@dataclass(frozen=True)
class Lanes:
    r"""Problems that share their neurons.

    Attributes:
        rows: $u_j$.
        offsets: $b_j$ in the unit of the inputs; they only say who may be merged.
        scale: $\kappa_j$ of an exponential profile, else ones.
        profile: $\psi$.
        plus: $c^+$.
        minus: $c^-$.
        scores: $z$ at the clean point.
        linear: $\ell$.
        constant: $c$, a lower bound where a term of the network grows with the input.
        sizes: $\|x_0\|$, which rounding is proportional to.
        point: which input each lane belongs to.
        own: its label, or the own class of the lane.
        rival: which class it is up against; 0 for one output.
        price: what standing for a group of neurons may take off the function, where the
            score is within ``spread`` of the kink (at p > 1: or above); 0 without.
        spread: how far the group's scores are apart at most; 0 without.
        kin: which neurons are alike, where lanes have the same amplitudes up to a
            sign; else None.
        exponent: binary exponent of the unit of length of each lane.
        low: lowest steps that a box allows, None without a box.
        high: highest ones.
        basis: the inputs that the features stand for; None where they are inputs.
    """

    rows: Float[np.ndarray, "neuron feature"]
    offsets: Float[np.ndarray, " neuron"]
    scale: Float[np.ndarray, " neuron"]
    profile: Profile
    plus: Float[np.ndarray, "lane neuron"]
    minus: Float[np.ndarray, "lane neuron"]
    scores: Float[np.ndarray, "lane neuron"]
    linear: Float[np.ndarray, "lane feature"]
    constant: Float[np.ndarray, " lane"]
    sizes: Float[np.ndarray, " lane"]
    point: Int[np.ndarray, " lane"]
    own: Int[np.ndarray, " lane"]
    rival: Int[np.ndarray, " lane"]
    price: Float[np.ndarray, "lane neuron"]
    spread: Float[np.ndarray, "lane neuron"]
    kin: Kin | None
    exponent: Float[np.ndarray, " lane"]
    low: Float[np.ndarray, "lane feature"] | None = None
    high: Float[np.ndarray, "lane feature"] | None = None
    basis: Float[np.ndarray, "feature input"] | None = None

    @property
    def count(self) -> int:
        """Number of lanes."""
        return len(self.point)

    @property
    def unit(self) -> float:
        """Relative rounding of sums over inputs and neurons, generously."""
        inputs = self.rows.shape[1] if self.basis is None else self.basis.shape[1]
        return 2.0**-51 * (inputs + sum(self.rows.shape) + 16)

    def take(self, index: np.ndarray) -> "Lanes":
        """The lanes of these numbers."""
        names = ("plus", "minus", "scores", "linear", "constant", "sizes")
        names += ("point", "own", "rival", "price", "spread", "exponent")
        names += () if self.low is None else ("low", "high")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def charged(
        self,
        low: Float[np.ndarray, "lane neuron"],
        high: Float[np.ndarray, "lane neuron"],
    ) -> Float[np.ndarray, " lane"]:
        """The price of these ranges of scores."""
        due = high > -self.spread
        if self.profile.power == 1:
            due &= low < self.spread
        return np.where(due, self.price, 0.0).sum(1)

    def lift(self, steps: Float[np.ndarray, "step feature"]) -> np.ndarray:
        """Steps as changes of the inputs."""
        return steps if self.basis is None else product(steps, self.basis)

    def clean(self) -> np.ndarray:
        """The function of each lane without a step."""
        heights = self.profile.value(np.maximum(self.scores, 0.0), self.scale)
        return ((self.plus - self.minus) * heights).sum(1) + self.constant

    def values(self, steps: Float[np.ndarray, "lane feature"]) -> np.ndarray:
        """The function of each lane after a step."""
        active = np.maximum(self.scores + product(steps, self.rows.T), 0.0)
        heights = self.profile.value(active, self.scale)
        total = ((self.plus - self.minus) * heights).sum(1)
        return total + (self.linear * steps).sum(1) + self.constant


def lanes_of(
    form: NormalForm,
    points: Sites | Float[np.ndarray, "sample feature"],
    point: Int[np.ndarray, " lane"],
    own: Int[np.ndarray, " lane"],
    rival: Int[np.ndarray, " lane"] | None,
) -> Lanes:
    """A lane for each point named, own class and rival; without rivals, for labels.

    A constant that grows with the input is left out; see :func:`growing`.
    """
    activation, sites = form.activation, plain(points)
    exponent = sites.exponent[point]
    amplitudes, constant = difference(form, exponent, own, rival)
    scores = form.scores(sites)[point]
    linear = np.zeros((len(point), form.rows.shape[1]))
    if isinstance(activation, LeakyReLU):
        # leak c + (1 - leak) relu(c)
        linear = activation.leak * product(amplitudes, form.rows)
        at = activation.leak * (amplitudes * scores).sum(1)
        constant, amplitudes = constant + at, (1 - activation.leak) * amplitudes
    if form.scaled_constant:
        constant = np.zeros(len(point))
    return Lanes(
        rows=form.rows,
        offsets=form.offsets,
        scale=np.ones(len(form.rows)),
        profile=Profile(float(activation.degree)),
        plus=np.maximum(amplitudes, 0.0),
        minus=np.maximum(-amplitudes, 0.0),
        scores=scores,
        linear=linear,
        constant=np.asarray(constant, float),
        sizes=np.sqrt((sites.inputs**2).sum(1))[point],
        point=point,
        own=own,
        rival=np.zeros(len(point), int) if rival is None else rival,
        price=np.zeros_like(scores),
        spread=np.zeros_like(scores),
        kin=form.kin,
        exponent=exponent,
    )


def without_fixed(lanes: Lanes) -> Lanes:
    """The lanes without the inputs that their box fixes, whose set has an inside."""
    assert lanes.low is not None
    assert lanes.high is not None
    free = np.flatnonzero((lanes.low < lanes.high).any(0))
    inputs = lanes.low.shape[1]
    if len(free) in (0, inputs):
        return lanes
    pick = lambda array: np.ascontiguousarray(array[:, free])
    names = ("rows", "linear", "low", "high")
    fewer = {name: pick(getattr(lanes, name)) for name in names}
    return replace(lanes, **fewer, basis=np.eye(inputs)[free])


def difference(
    form: NormalForm, exponent: np.ndarray, own: np.ndarray, rival: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes and constants, of a label or of one class against another."""
    levels = form.levels(exponent)
    if rival is None:
        return own[:, None] * form.amplitudes[None], own * levels
    table, lane = form.amplitudes.T, np.arange(len(own))
    return table[own] - table[rival], levels[lane, own] - levels[lane, rival]


def growing(
    form: NormalForm, lanes: Lanes, reach: Float[np.ndarray, " lane"]
) -> Float[np.ndarray, " lane"]:
    r"""The least value, within the reach, of a constant times $\|(x,1)\|^{p-1}$."""
    if not form.scaled_constant:
        return np.zeros(lanes.count)
    rival = None if form.classes is None else lanes.rival
    _, factor = difference(form, lanes.exponent, lanes.own, rival)
    extra = form.extra(lanes.exponent)
    ends = np.stack([np.maximum(lanes.sizes - reach, 0.0), lanes.sizes + reach])
    low, high = (ends**2 + extra) ** ((form.activation.degree - 1) / 2)
    helps = factor > 0
    return factor * np.where(helps, low * (1 - 1e-14), high * (1 + 1e-14))
