"""Early phase: ratio laws, the phase transition at p = 2, alignment bounds.

One neuron of a positive group at noise 0 and output still zero; time in the
per-cluster mean clock with loss slope 1 at zero.
"""

import math

import numpy as np

from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
    requires,
    scaled,
)
from jaxbias.theory._verdict import judge_at_least, judge_settled
from jaxbias.theory.solvable import early_path

_SOURCE = Source("jaxbias", "early phase at noise 0")
_CONVENTIONS = conventions(
    clock="per_cluster_mean", centre_norm="1", output_layer="trained, balanced"
)
_SIGNS = (1.0, 1.0, 1.0, -1.0, -1.0)
# Five centre coordinates, then two directions no sample sees.
_STARTS = (
    (0.50, 0.31, 0.12, 0.20, -0.15, 0.40, -0.30),
    (0.22, 0.45, -0.33, 0.10, 0.38, -0.25, 0.50),
    (0.35, 0.34, 0.36, -0.20, -0.41, 0.05, 0.60),
    (0.62, -0.14, 0.27, 0.33, 0.18, 0.11, -0.70),
)
_ALL_ACTIVE = (
    (0.30, 0.05, 0.02, 0.30, 0.20, 0.80, 0.10),
    (0.10, 0.40, 0.03, 0.05, -0.50, 0.60, -0.20),
    (0.04, 0.03, 0.02, -0.30, -0.10, 0.20, 0.90),
)


def unit_rows(rows) -> np.ndarray:
    """Rows scaled to norm 1."""
    rows = np.asarray(rows, float)
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def ratio_rates(
    start: np.ndarray, signs: np.ndarray, exponent: float, *, same_sign: bool = False
) -> np.ndarray:
    """``d/dt log(c_0/|c_l|)`` for every l != 0, c_0 active and of the own class.

    ``p (c_0^(p-2) - c_l^(p-2))`` for an active l of the same class, ``+`` for an
    active one of the opposite class, ``p c_0^(p-2)`` if l is inactive or unseen.
    """
    own = start[0] ** (exponent - 2)
    rates = np.full(start.size - 1, exponent * own)
    for index, cosine in enumerate(start[1 : signs.size]):
        if cosine > 0:
            sense = 1.0 if same_sign else signs[index + 1]
            rates[index] -= exponent * sense * cosine ** (exponent - 2)
    return rates


def tanh_bound(start: float, own: int, times) -> np.ndarray:
    """D1: ``C(t) >= tanh(sqrt(K1) t + artanh C(0))`` at p = 1, own centres active."""
    return np.tanh(math.sqrt(own) * np.asarray(times, float) + math.atanh(start))


def cone_speed(cosine: float, exponent: float) -> float:
    """D2: ``c' >= p c^(p-1) (1-c^2) [1 - ((1-c^2)/c^2)^((p-2)/2)]`` for p > 2."""
    odds = (1 - cosine**2) / cosine**2
    rest = 1 - odds ** ((exponent - 2) / 2)
    return exponent * cosine ** (exponent - 1) * (1 - cosine**2) * rest


def _exact(_: Setting) -> Remainder:
    return Remainder(0.0, "an identity: only the numerical error is allowed")


def _rates(setting: Setting, bend: float = 0.0, same_sign: bool = False):
    signs = np.array(setting["signs"])
    starts = unit_rows(setting["starts"])
    table = [
        [ratio_rates(c, signs, p + bend, same_sign=same_sign) for c in starts]
        for p in setting["exponents"]
    ]
    return {"value": np.array(table)}


def _paths(setting: Setting, bend: float = 0.0):
    signs, unseen = np.array(setting["signs"]), len(setting["starts"][0])
    padded = np.append(signs, np.zeros(unseen - signs.size))
    table = []
    for exponent in setting["exponents"]:
        ends = [
            early_path(c, padded, exponent + bend, setting["path_time"])
            for c in unit_rows(setting["starts"])
        ]
        table.append(unit_rows(ends))
    return {"value": np.array(table)}


def _tanh(setting: Setting, own: int | None = None):
    signs = np.array(setting["signs"])
    count = int(np.sum(signs > 0))
    starts = unit_rows(setting["starts"])[:, :count].sum(axis=1) / math.sqrt(count)
    rows = [tanh_bound(c, own or count, setting["times"]) for c in starts]
    return {"bound": np.array(rows).T}


def _cone(setting: Setting, bend: float = 0.0):
    values = [
        cone_speed(c, p + bend)
        for p in setting["exponents"]
        for c in setting["cosines"]
    ]
    return {"bound": np.array(values)}


def _judge_bound(arrays, prediction, remainder, alpha):
    del alpha
    value = np.asarray(arrays["measured"])
    error = np.asarray(arrays.get("error", 0.0)) + remainder.delta
    bound = prediction["bound"]
    # The evidence is the value with its error; the bound has the slack of rounding.
    return judge_at_least(value, value, bound - error, sampled=True, error=error)


def _judge_direction(arrays, prediction, remainder, alpha):
    del alpha
    cosine = arrays[prediction["target"]]
    bound = prediction["value"] - remainder.delta
    return judge_at_least(cosine, cosine, bound, sampled=True)


def _direction_claim(
    name, statement, exponents, target, others, delta, why, lead=1.0
) -> Claim:
    def elsewhere(other: str) -> Decoy:
        label = {"average": "the class average", "centre": "one centre"}.get(
            other, "ratios frozen"
        )
        return Decoy(f"another limit: {label}", lambda _, p: {**p, "target": other})

    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        source=_SOURCE,
        provenance="derived",
        kind="search",
        quantifier="random starts filtered by the hypotheses; the worst is judged",
        conventions=_CONVENTIONS,
        setting={
            "dim": 12,
            "clusters": 5,
            "positive": 3,
            "exponents": exponents,
            "time": 60.0,
            "least": 0.1,
            "lead": lead,
        },
        hypotheses=lambda s: (
            requires("an own centre is active", s["least"]),
            requires("the closest own centre leads by a factor", s["lead"] - 1),
        ),
        predict=lambda _: {"value": 1.0, "target": target},
        remainder=lambda _: Remainder(delta, why),
        evidence=lambda s, size: Computation(
            "early/directions",
            {**s, "neurons": 48 if size == "quick" else 1000, "steps": 1000},
        ),
        judge=_judge_direction,
        expected="not refuted",
        decoys=tuple(elsewhere(other) for other in others),
        stochastic=True,
        edition=2,
    )


CLAIMS = (
    Claim(
        id="jaxbias/ratio-law",
        statement="At noise 0 and zero output, d/dt log(c_k/c_l) is"
        " p (c_k^(p-2) - c_l^(p-2)) inside a class, with + across classes, and"
        " p c_k^(p-2) against an inactive or unseen direction.",
        source=_SOURCE,
        provenance="derived",
        kind="identity",
        quantifier="four starts in seven coordinates, p in {1, 1.5, 2, 3, 4}",
        conventions=_CONVENTIONS,
        setting={
            "signs": _SIGNS,
            "starts": _STARTS,
            "exponents": (1.0, 1.5, 2.0, 3.0, 4.0),
        },
        hypotheses=no_hypotheses,
        predict=_rates,
        remainder=_exact,
        evidence=lambda s, size: Computation("early/rates", s),
        judge=judge_settled,
        expected="holds",
        decoys=(
            Decoy("p -> p + 0.25", lambda s, _: _rates(s, 0.25)),
            Decoy("across classes - instead of +", lambda s, _: _rates(s, 0.0, True)),
            scaled(1.1),
        ),
    ),
    Claim(
        id="jaxbias/closed-path",
        statement="The early direction follows u_k' = s_k p u_k^(p-1), so"
        " u_k^(2-p) - s_k p (2-p) s is conserved in path time s.",
        source=_SOURCE,
        provenance="derived",
        kind="identity",
        quantifier="four starts, p in {1, 1.5, 2, 3, 4}, path time 0.05",
        conventions=_CONVENTIONS,
        setting={
            "signs": _SIGNS,
            "starts": _STARTS,
            "exponents": (1.0, 1.5, 2.0, 3.0, 4.0),
            "path_time": 0.05,
        },
        hypotheses=no_hypotheses,
        predict=_paths,
        remainder=_exact,
        evidence=lambda s, size: Computation("early/paths", s),
        judge=judge_settled,
        expected="holds",
        decoys=(
            Decoy("p -> p + 0.25", lambda s, _: _paths(s, 0.25)),
            scaled(1.1),
        ),
    ),
    Claim(
        id="jaxbias/averaging-tanh-bound",
        statement="At p = 1 with every own centre active, the cosine to the class"
        " average obeys C(t) >= tanh(sqrt(K1) t + artanh C(0)).",
        source=_SOURCE,
        provenance="derived",
        kind="inequality",
        quantifier="three starts, ten times",
        conventions=_CONVENTIONS,
        setting={
            "signs": _SIGNS,
            "starts": _ALL_ACTIVE,
            "times": tuple(0.15 * k for k in range(1, 11)),
        },
        hypotheses=no_hypotheses,
        predict=_tanh,
        remainder=lambda _: Remainder(1e-9, "rounding of the comparison"),
        evidence=lambda s, size: Computation("early/tanh", s),
        judge=_judge_bound,
        expected="not refuted",
        decoys=(
            Decoy("K1 -> K1 + 1", lambda s, _: _tanh(s, 4)),
            scaled(1.1, "bound"),
        ),
    ),
    Claim(
        id="jaxbias/centre-cone",
        statement="For p > 2 the 45 degree cone of an own centre attracts: for"
        " c > 1/sqrt(2), c' >= p c^(p-1) (1-c^2) [1 - ((1-c^2)/c^2)^((p-2)/2)] > 0"
        " whatever the other coordinates.",
        source=_SOURCE,
        provenance="derived",
        kind="inequality",
        quantifier="random configurations and the worst one by hand, nine cosines",
        conventions=_CONVENTIONS,
        setting={
            "dim": 12,
            "clusters": 5,
            "positive": 3,
            "exponents": (2.5, 3.0, 4.0),
            "cosines": tuple(0.72 + 0.03 * k for k in range(9)),
        },
        hypotheses=no_hypotheses,
        predict=_cone,
        remainder=lambda _: Remainder(1e-12, "rounding of the comparison"),
        evidence=lambda s, size: Computation(
            "early/cone", {**s, "draws": 4000 if size == "quick" else 40000}
        ),
        judge=_judge_bound,
        expected="not refuted",
        decoys=(
            scaled(1.1, "bound"),
            Decoy("p -> p + 0.25", lambda s, _: _cone(s, 0.25)),
        ),
        stochastic=True,
    ),
    _direction_claim(
        "phase-transition-averages",
        "For p < 2 a positive neuron ends on the average of its initially active own"
        " centres: the cosine tends to 1.",
        (1.0, 1.5),
        "average",
        ("centre", "frozen"),
        1e-3,
        "the ratio law closes ratios at rate p (2-p) c^(p-2); by t = 60 what is left"
        " is below 1e-3",
    ),
    _direction_claim(
        "phase-transition-centres",
        "For p > 2 a positive neuron ends on the own centre that it starts closest to"
        " (the Voronoi rule), given a lead.",
        (3.0, 4.0),
        "centre",
        ("average", "frozen"),
        1e-3,
        "the winner's lead grows without bound; by t = 60 what is left is below 1e-3",
        lead=1.1,
    ),
    _direction_claim(
        "phase-transition-neutral",
        "At p = 2 ratios inside a class are frozen: the neuron keeps its initial"
        " projection on the active own centres.",
        (2.0,),
        "frozen",
        ("average", "centre"),
        1e-6,
        "the ratios are constants of motion; RK4 at step 0.06 keeps them to 1e-6",
    ),
)
