r"""Robust accuracy against the radius: certified, witnessed, as in the papers.

The true curve lies between ``certified`` and ``attacked``. The curve of a weak attack
lies above both, at times above what any classifier can reach: then the attack failed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxbias._checks import InputError, one_of
from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Readout
from jaxbias.robustness import apgd, fgm, pgd, sphere_pgd
from jaxbias.robustness._ascent import increasing
from jaxbias.robustness._found import Subject, radii_of, subject
from jaxbias.robustness._radius import Radius
from jaxbias.robustness.ceilings import attack_failed

Attack = Callable[..., np.ndarray]
ATTACKS = ("pgd", "sphere-pgd", "apgd", "fgm")
"""The attacks that are known by a word."""


@dataclass(frozen=True)
class Curves:
    """Shares of points that are right at each radius, according to four sources.

    Attributes:
        radii: the radii, increasing.
        clean: share of points that are right without a step.
        attacked: share without a confirmed witness within the radius: from above.
        certified: share certified at the radius: from below.
        as_in_paper: share that the papers' attack leaves right.
        ceiling: what no classifier exceeds on the population; NaN where unknown.
        order: the attack's norm, 2 or infinity.
        readout: how outputs decide.
        paper_attack: which attack gave ``as_in_paper``.
    """

    radii: Float[np.ndarray, " radius"]
    clean: float
    attacked: Float[np.ndarray, " radius"]
    certified: Float[np.ndarray, " radius"]
    as_in_paper: Float[np.ndarray, " radius"]
    ceiling: Float[np.ndarray, " radius"]
    order: float
    readout: str
    paper_attack: str

    def above_ceiling(
        self, samples: int, confidence: float | int = 0.999
    ) -> dict[str, Bool[np.ndarray, " radius"]]:
        """Where each curve exceeds the ceiling by more than chance explains.

        Args:
            samples: number of points that the shares were counted on.
            confidence: of the one-sided Clopper-Pearson limit, at each radius alone.

        Returns:
            ``attacked``, ``certified`` and ``as_in_paper``; False where the ceiling is
            unknown.

        References:
            clopper-pearson-1934.
        """
        found = {}
        for name in ("attacked", "certified", "as_in_paper"):
            counts = np.rint(getattr(self, name) * samples).astype(int)
            pairs = zip(counts.tolist(), self.ceiling.tolist(), strict=True)
            failed = [attack_failed(k, samples, top, confidence) for k, top in pairs]
            found[name] = np.array(failed, bool)
        return found


def robust_accuracy_curve(
    network: Any,
    inputs: Any,
    labels: Any,
    radii: Any,
    *,
    order: float | int | str = 2,
    effort: str = "bounds",
    readout: Readout | None = None,
    activation: Activation | None = None,
    centres: Any = None,
    paper_attack: str | Attack = "pgd",
    steps: int | None = None,
    key: Key[Array, ""] | None = None,
    ceiling: Any = None,
    found: Radius | None = None,
) -> Curves:
    r"""Robust accuracy at every radius: from above, from below and as in the papers.

    Args:
        network: a :class:`TwoLayerNetwork`, or :class:`Weights` with ``activation``.
        inputs: points, (sample, feature).
        labels: +1 and -1, or class numbers, as the read-out takes them, (sample,).
        radii: increasing budgets, (radius,).
        order: 2 or infinity.
        effort: of the radii: ``"attack"``, ``"bounds"``, ``"tight"`` or ``"exact"``.
        readout: how outputs decide; the sign or the largest one when left out.
        activation: needed with bare :class:`Weights` only.
        centres: cluster centres (cluster, feature), as further starts of the witnesses.
        paper_attack: ``"pgd"``, ``"sphere-pgd"``, ``"apgd"`` or ``"fgm"`` in their
            published settings; or a function of (weights, activation, inputs, labels,
            radii) that returns the share left right at each radius, such as
            ``functools.partial(apgd.robust_accuracy, key=key, restarts=5)``. For a
            network that normalises inputs it is given ``normalise_inputs=True``.
        steps: steps of a named attack, where not the published number.
        key: for the random starts of ``"sphere-pgd"`` and ``"apgd"``; consumed.
        ceiling: (radius,), or a function of the radii such as a partial
            :func:`population_ceiling`; $\ell_2$ only.
        found: radii of these points, where they are known.

    Raises:
        InputError: as :func:`jaxbias.robustness.radius`; for radii of other points, an
            unknown attack or one that does not fit the norm or the read-out, a missing
            key, and a ceiling in another norm or of another shape.
    """
    budgets = increasing(radii)
    case = subject(network, inputs, labels, order, readout, activation)
    # What cannot work is refused before the radii, which take longest.
    top = _ceiling(ceiling, budgets, case.order)
    if isinstance(paper_attack, str):
        attack, options = _named(paper_attack, case, steps, key)
        name = paper_attack
    elif steps is not None:
        raise InputError(
            f"steps={steps} for a function",
            "it is called with its own",
            "functools.partial(pgd.robust_accuracy, steps=400)",
        )
    else:
        attack, options = paper_attack, {}
        name = getattr(attack, "__name__", "given")
    if case.normalise:
        options["normalise_inputs"] = True
    known = radii_of(case, found, effort, centres)
    shares = attack(
        case.weights, case.activation, case.points, case.labels, budgets, **options
    )
    return Curves(
        radii=budgets,
        clean=float(np.mean(known.upper > 0)),
        attacked=known.attacked(budgets),
        certified=known.certified(budgets),
        as_in_paper=np.asarray(shares, float),
        ceiling=top,
        order=case.order,
        readout=case.readout.name,
        paper_attack=name,
    )


def _named(
    word: str, case: Subject, steps: int | None, key: Key[Array, ""] | None
) -> tuple[Attack, dict[str, Any]]:
    """The attack of that name, and its options for this case."""
    one_of("paper_attack", word, ATTACKS)
    options: dict[str, Any] = {} if steps is None else {"steps": steps}
    if word == "pgd":
        options |= {"order": case.order, "readout": case.readout}
        return pgd.robust_accuracy, options
    if case.grouped:
        raise InputError(
            f"paper_attack={word!r} with the read-out {case.readout.name!r}",
            "it climbs the loss of a class, and labels of +1 and -1 name none",
            "a function that calls sphere_pgd.robust_accuracy with the classes and "
            "scored=(readout, labels), or 'pgd', which climbs the read-out itself",
        )
    if word == "fgm":
        if steps is not None:
            raise InputError(f"steps={steps}", "'fgm' takes a single step", "'pgd'")
        return fgm.robust_accuracy, {"order": case.order}
    if key is None:
        raise InputError(
            f"paper_attack={word!r} without a key",
            "it starts at random points",
            "key=jax.random.key(0)",
        )
    options["key"] = key
    if word == "apgd":
        return apgd.robust_accuracy, options | {"order": case.order}
    if math.isinf(case.order):
        raise InputError(
            "paper_attack='sphere-pgd' in l_inf", "it steps in l_2", "order=2, or 'pgd'"
        )
    return sphere_pgd.robust_accuracy, options


def _ceiling(ceiling: Any, radii: np.ndarray, order: float) -> np.ndarray:
    if ceiling is None:
        return np.full(len(radii), np.nan)
    if math.isinf(order):
        raise InputError(
            "a ceiling in l_inf", "those known hold at l_2 radii", "ceiling=None"
        )
    top = np.asarray(ceiling(radii) if callable(ceiling) else ceiling, float)
    if top.shape != radii.shape:
        raise InputError(
            f"a ceiling of shape {top.shape}",
            f"there are {len(radii)} radii",
            f"shape ({len(radii)},), or a function of the radii",
        )
    return top
