r"""Whether a network hides its gradients from the papers' attack, and how far.

Projected gradient ascent from the clean point never learns of opposing neurons that are
off there. Its smallest successful budget is held against an explicit witness.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxbias._checks import InputError, at_least, positive_int
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import GroupArgmax, ProbabilitySum, Readout
from jaxbias.robustness import pgd
from jaxbias.robustness._ascent import in_double
from jaxbias.robustness._ends import lengths
from jaxbias.robustness._found import Subject, radii_of, subject
from jaxbias.robustness._radius import Radius

# Budgets a round, and rounds: at ratios of 1 to 4 the last bracket is 0.3 % wide.
_GRID, _ROUNDS = 8, 3
_TOLERATED = 1.05


@dataclass(frozen=True)
class Masking:
    r"""What the papers' attack can see at each point, and what it misses.

    Attributes:
        opposing: number of neurons that speak against the label.
        active: how many of them have a slope other than 0 at the point.
        gradient: $\|g\|_2$ at the point, g the input gradient of the loss that the
            attack climbs, the mean of $e^{-m}$ over the points.
        attacked: smallest budget found at which the attack breaks the point, from
            above; infinite when there was none, 0 when it is broken clean.
        witnessed: upper end of the radius: the length of a confirmed perturbation.
        order: the attack's norm, 2 or infinity.
        readout: how outputs decide.
    """

    opposing: Int[np.ndarray, " sample"]
    active: Int[np.ndarray, " sample"]
    gradient: Float[np.ndarray, " sample"]
    attacked: Float[np.ndarray, " sample"]
    witnessed: Float[np.ndarray, " sample"]
    order: float
    readout: str

    @property
    def strength(self) -> Float[np.ndarray, " sample"]:
        """The gradient over the papers' stabiliser 1e-7: near and below 1, steps stall.

        A step has the share ``strength / (strength + 1)`` of its nominal length.
        """
        return self.gradient / pgd.STABILISER

    @property
    def ratio(self) -> Float[np.ndarray, " sample"]:
        """How much the attack overestimates the radius; below 1 it beat the witness.

        NaN where there is no witness, or the clean point is broken.
        """
        known = np.isfinite(self.witnessed) & (self.witnessed > 0)
        unit = np.where(known, self.witnessed, 1.0)
        return np.where(known, self.attacked / unit, np.nan)

    @property
    def masked(self) -> bool:
        """A median ratio above 1.05, or a witness where the attack finds nothing."""
        ratio = self.ratio[~np.isnan(self.ratio)]
        if not len(ratio):
            return False
        return bool(np.median(ratio) > _TOLERATED or np.isinf(ratio).any())

    def summary(self) -> dict[str, float | bool]:
        """Medians and worst values over the points, and the verdict.

        The worst is the most opposing neurons, the fewest active ones, the smallest
        gradient and the largest ratio; NaN where no point has one.
        """
        worst = {
            "opposing": np.max,
            "active": np.min,
            "gradient": np.min,
            "strength": np.min,
            "ratio": np.max,
        }
        found: dict[str, float | bool] = {"masked": self.masked}
        for name, extreme in worst.items():
            values = getattr(self, name)
            values = values[~np.isnan(values)]
            for kind, of in (("median", np.median), ("worst", extreme)):
                found[f"{name}_{kind}"] = float(of(values)) if len(values) else np.nan
        return found


def masking_report(
    network: Any,
    inputs: Any,
    labels: Any,
    *,
    order: float | int | str = 2,
    readout: Readout | None = None,
    activation: Activation | None = None,
    centres: Any = None,
    steps: int = 400,
    step: float | int | None = None,
    farthest: float | int = 4.0,
    found: Radius | None = None,
) -> Masking:
    r"""The papers' attack against explicit witnesses, point by point.

    The attack is :func:`jaxbias.robustness.pgd.broken` in float64, at budgets of 1 to
    ``farthest`` times the witnessed radius and then between the last budget that fails
    and the first that succeeds. Its loss is a mean over the points, so that more points
    weaken it, as in the papers.

    Args:
        network: a :class:`TwoLayerNetwork`, or :class:`Weights` with ``activation``.
        inputs: points, (sample, feature).
        labels: +1 and -1, or class numbers, as the read-out takes them, (sample,).
        order: 2 or infinity.
        readout: how outputs decide; the sign or the largest one when left out.
        activation: needed with bare :class:`Weights` only.
        centres: cluster centres (cluster, feature), as further starts of the witnesses.
        steps: steps of the attack.
        step: their length; a quarter of the median witnessed radius when left out.
        farthest: largest budget, as a multiple of the witnessed radius; of the input's
            norm where there is no witness.
        found: radii of these points, where they are known; ``effort="attack"`` if not.

    Raises:
        InputError: as :func:`jaxbias.robustness.radius`, for radii of other points,
            and for ``farthest`` of 1 or less.

    References:
        min-vidal-2024, section 5.1 and code, for the attack.
    """
    positive_int("steps", steps)
    at_least("farthest", farthest, 1.0)
    if farthest == 1:
        raise InputError(
            "farthest=1", "no budget above the witness would be tried", "farthest=4.0"
        )
    case = subject(network, inputs, labels, order, readout, activation)
    upper = radii_of(case, found, "attack", centres).upper
    known = np.isfinite(upper) & (upper > 0)
    scale = np.where(known, upper, lengths(case.points, case.order))
    scale = np.where(scale > 0, scale, 1.0)
    size = float(np.median(scale)) / 4 if step is None else float(step)
    common = {"readout": case.readout, "normalise_inputs": case.normalise}
    with jax.enable_x64(True):
        opposing = _opposing(case)
        scores = jnp.asarray(case.form.scores(case.points))
        on = np.asarray(case.activation.slope(scores)) != 0
        arguments = (
            in_double(case.weights),
            case.activation,
            case.points,
            case.labels,
        )
        gradient = pgd.slopes(*arguments, **common)
        attack = lambda budgets: pgd.broken(
            *arguments, budgets, order=case.order, steps=steps, step=size, **common
        )
        attacked = _smallest(attack, scale, float(farthest))
    return Masking(
        opposing=opposing.sum(1),
        active=(opposing & on).sum(1),
        gradient=gradient,
        attacked=np.where(upper == 0, 0.0, attacked),
        witnessed=upper,
        order=case.order,
        readout=case.readout.name,
    )


def _opposing(case: Subject) -> np.ndarray:
    """Which neurons speak against the label of each point, (sample, neuron).

    Those whose row of amplitudes, taken for outputs, would be read out against it.
    """
    readout = case.readout
    if isinstance(readout, ProbabilitySum):
        # Its margin depends on the scale; that of ever larger rows is this one.
        readout = GroupArgmax(readout.groups)
    rows = jnp.asarray(case.form.amplitudes)
    names, index = np.unique(case.labels, return_inverse=True)
    against = [
        np.asarray(readout.margin(rows, jnp.full(len(rows), name))) < 0
        for name in names
    ]
    return np.stack(against)[index]


def _smallest(
    attack: Callable[[np.ndarray], np.ndarray], scale: np.ndarray, farthest: float
) -> np.ndarray:
    """Smallest budget of each point at which the attack succeeds, by finer grids."""
    low, high = np.zeros_like(scale), np.full_like(scale, np.inf)
    grid = np.geomspace(1.0, farthest, _GRID)[:, None] * scale
    shares = np.arange(1, _GRID + 1)[:, None] / (_GRID + 1)
    for _ in range(_ROUNDS):
        wrong = attack(grid)
        first = np.where(wrong.any(0), wrong.argmax(0), _GRID)
        edges = np.concatenate([low[None], grid, high[None]])
        low, high = np.take_along_axis(edges, np.stack([first, first + 1]), axis=0)
        grid = low + np.where(np.isfinite(high), shares * (high - low), 0.0)
    return high
