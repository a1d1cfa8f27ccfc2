"""Claims about the radius of explicit classifiers at the cluster centres."""

import math
from functools import partial

import numpy as np

from jaxbias.theory import radii
from jaxbias.theory._claim import (
    Claim,
    Computation,
    Decoy,
    Remainder,
    Setting,
    Source,
    conventions,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._verdict import judge_interval, searched

_DOSSIER = Source("jaxbias", "radii at centres")
_SPLITS = ((2, 1), (5, 3), (8, 2))
_CONVENTIONS = partial(
    conventions, tie="y f <= 0 is an error", readout="sign", centre_norm="1"
)


def _judge(arrays, prediction, remainder, alpha):
    del alpha
    return judge_interval(
        arrays["lower"], arrays["upper"], prediction["value"], remainder.delta
    )


def _judge_search(arrays, prediction, remainder, alpha):
    # Only the upper end has a witness; the lower is where the search found nothing.
    found = {**arrays, "lower": arrays["upper"]}
    return searched(_judge(found, prediction, remainder, alpha))


def _remainder(_: Setting) -> Remainder:
    return Remainder(
        1e-4,
        "the formula is exact; the attack ends at 1e-9 and its witness is moved to"
        " the boundary by bisection, so 1e-4 leaves room for its local search only",
    )


def _evidence(setting: Setting, size: str) -> Computation:
    return Computation(
        "radii/centres",
        {
            **setting,
            "starts": {"quick": 1}.get(size, 8),
        },
    )


def _cases(setting: Setting) -> list[tuple[int, int, int, float, float]]:
    """(clusters, positive, side, exponent, order), in the order of the evidence."""
    return [
        (clusters, positive, side, exponent, order)
        for clusters, positive in setting["splits"]
        for exponent in setting["exponents"]
        for order in setting["orders"]
        for side in (1, -1)
    ]


def _averaged(setting: Setting, shift: int = 0) -> dict[str, np.ndarray]:
    values = [
        radii.averaged_radius(clusters + shift, order)
        for clusters, _, _, _, order in _cases(setting)
    ]
    return {"value": np.array(values)}


def _per_centre(setting: Setting, shift: int = 0, bend: float = 0.0):
    values = [
        radii.per_centre_radius(
            radii.split(clusters, positive, side)[1] + shift, exponent + bend, order
        )
        for clusters, positive, side, exponent, order in _cases(setting)
    ]
    return {"value": np.array(values)}


_MORE_CLUSTERS = Decoy("K -> K + 1", lambda s, _: _averaged(s, 1))
_MORE_OPPOSITE = Decoy("K2 -> K2 + 1", lambda s, _: _per_centre(s, 1))
_BENT = Decoy("p -> p + 0.25", lambda s, _: _per_centre(s, 0, 0.25))
_AS_AVERAGED = Decoy("another network: F", lambda s, _: _averaged(s))


def _claim(
    name: str,
    statement: str,
    classifier: str,
    predict,
    decoys: tuple[Decoy, ...],
    *,
    exponents: tuple[float, ...],
    orders: tuple[float, ...] = (2.0,),
    splits=_SPLITS,
    search: bool = False,
    source: Source = _DOSSIER,
    provenance: str = "derived",
    prefix: str = "jaxbias",
) -> Claim:
    return Claim(
        id=f"{prefix}/{name}",
        statement=statement,
        source=source,
        provenance=provenance,
        kind="search" if search else "certified interval",
        quantifier="both classes, at the (K, K1), exponents and orders listed",
        conventions=_CONVENTIONS(norm="l_2" if orders == (2.0,) else "l_q"),
        setting={
            "classifier": classifier,
            "splits": splits,
            "exponents": exponents,
            "orders": orders,
        },
        hypotheses=no_hypotheses,
        predict=predict,
        remainder=_remainder,
        evidence=_evidence,
        judge=_judge_search if search else _judge,
        expected="not refuted" if search else "holds",
        decoys=decoys,
    )


def _unequal(setting: Setting, swap: bool = False, bend: float = 0.0):
    own_by_case, rival_by_case, sizes = [], [], []
    for amplitudes in setting["amplitudes"]:
        positive, negative = (np.array(a, float) for a in amplitudes)
        pairs = (positive, negative), (negative, positive)
        for own, other in pairs[::-1] if swap else pairs:
            own_by_case.append(own)
            rival_by_case.append(other)
            sizes.append(len(own))
    values = []
    for exponent in setting["exponents"]:
        for own, other in zip(own_by_case, rival_by_case):
            values += [
                radii.per_centre_radius_amplitudes(a, other.max(), exponent + bend)
                for a in own
            ]
    return {"value": np.array(values)}


def _unequal_averages(setting: Setting, forget: bool = False):
    values = []
    for (clusters, positive), (a, b) in zip(setting["splits"], setting["amplitudes"]):
        own, other = radii.split(clusters, positive)
        values.append(radii.averaged_radius_amplitudes(1 if forget else own, a, b))
        values.append(radii.averaged_radius_amplitudes(1 if forget else other, b, a))
    return {"value": np.array(values)}


def _amplitude_claim(name, statement, setting, predict, decoys) -> Claim:
    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        source=_DOSSIER,
        provenance="derived",
        kind="certified interval",
        quantifier="every centre, at the amplitudes listed",
        conventions=_CONVENTIONS(norm="l_2"),
        setting=setting,
        hypotheses=no_hypotheses,
        predict=predict,
        remainder=_remainder,
        evidence=_evidence,
        judge=_judge,
        expected="holds",
        decoys=decoys,
    )


CLAIMS = (
    _claim(
        "radius-at-centre-averaged",
        "The two-neuron classifier F = s(<x,mu_+>) - s(<x,mu_->) has l_2 radius"
        " exactly 1/sqrt(K) at every centre, whatever K1 and K2.",
        "averaged",
        _averaged,
        (_MORE_CLUSTERS, scaled(1.1), scaled(1 / 1.1)),
        exponents=(1.0,),
        source=Source("min-vidal-2024", "theorem on F", "ICML 2024 poster"),
        provenance="derived",
        prefix="min-vidal-2024",
    ),
    _claim(
        "radius-at-centre-per-centre",
        "F^(p), one unit neuron per cluster, has l_2 radius sqrt(2)/2 at every centre"
        " for every p >= 2, whatever K1 and K2.",
        "per_centre",
        _per_centre,
        (scaled(1.1), _AS_AVERAGED),
        exponents=(2.0, 3.0, 6.0),
        source=Source("min-vidal-2024", "theorem on F^(p)", "ICML 2024 poster"),
        prefix="min-vidal-2024",
    ),
    _claim(
        "radius-at-centre-low-exponent",
        "For 1 <= p < 2 the radius of F^(p) at a centre with K2 opposite clusters is"
        " 1/sqrt(1 + K2^(2/p - 1)): p = 2 is the kink.",
        "per_centre",
        _per_centre,
        (_MORE_OPPOSITE, _BENT, scaled(1.1)),
        exponents=(1.25, 1.5),
    ),
    _claim(
        "radius-at-centre-exponent-one",
        "F^(1) has radius 1/sqrt(1 + K2) at a positive centre: one ReLU neuron per"
        " cluster does not buy robustness, and F^(1) is not F.",
        "piecewise_linear",
        _per_centre,
        (_MORE_OPPOSITE, _BENT, _AS_AVERAGED),
        exponents=(1.0,),
        splits=((3, 2), (5, 3), (6, 2)),
    ),
    _claim(
        "radius-at-centre-averaged-prelu",
        "One pReLU neuron per class average, with amplitudes K1^(p/2) and K2^(p/2),"
        " has the sign of F and radius 1/sqrt(K) at centres for every p.",
        "averaged_prelu",
        _averaged,
        (_MORE_CLUSTERS, scaled(1.1)),
        exponents=(1.0, 3.0),
    ),
    _claim(
        "radius-at-centre-linf-averaged",
        "With axis-aligned centres the l_inf radius of F at a centre is 1/K.",
        "averaged",
        _averaged,
        (_MORE_CLUSTERS, scaled(1.1)),
        exponents=(1.0,),
        orders=(math.inf,),
    ),
    _claim(
        "radius-at-centre-linf-per-centre",
        "With axis-aligned centres the l_inf radius of F^(p) at a positive centre is"
        " 1/(1 + K2^(1/p)): it keeps growing with p, towards 1/2.",
        "per_centre",
        _per_centre,
        (_MORE_OPPOSITE, _BENT, scaled(1.1)),
        exponents=(1.0, 1.5, 2.0, 3.0, 6.0),
        orders=(math.inf,),
        splits=((5, 3), (8, 6)),
    ),
    _claim(
        "radius-at-centre-lq-averaged",
        "With axis-aligned centres the l_q radius of F at a centre is K^(-1/q*),"
        " 1/q + 1/q* = 1.",
        "averaged",
        _averaged,
        (_MORE_CLUSTERS, scaled(1.1)),
        exponents=(1.0,),
        orders=(1.5, 3.0),
        search=True,
    ),
    _claim(
        "radius-at-centre-lq-per-centre",
        "With axis-aligned centres the l_q radius of F^(p) at a positive centre is"
        " (1 + kappa^q*)^(-1/q*), kappa = K2^max(1/p - 1/q, 0).",
        "per_centre",
        _per_centre,
        (_MORE_OPPOSITE, scaled(1.1)),
        exponents=(1.0, 1.5, 3.0),
        orders=(1.5, 3.0),
        splits=((5, 3),),
        search=True,
    ),
    _amplitude_claim(
        "radius-unequal-averages",
        "f = a s(<x,mubar_+>) - b s(<x,mubar_->) has radius"
        " (a/sqrt(K1))/sqrt(a^2+b^2) at positive and (b/sqrt(K2))/sqrt(a^2+b^2) at"
        " negative centres.",
        {
            "classifier": "unequal_averages",
            "splits": ((5, 3), (5, 3), (10, 6), (3, 1)),
            "amplitudes": ((1.0, 1.0), (2.0, 1.5), (1.3, 2.4), (1.0, 0.7)),
            "exponents": (1.0,),
        },
        _unequal_averages,
        (
            scaled(1.1),
            Decoy("sqrt(K1) -> 1", lambda s, _: _unequal_averages(s, True)),
        ),
    ),
    _amplitude_claim(
        "radius-unequal-centres",
        "f = sum_k s_k a_k s(<x,mu_k>)^p, p >= 2, has radius rho/sqrt(1+rho^2) at"
        " mu_k, rho = (a_k / max opposite a_l)^(1/p): a larger p damps imbalance.",
        {
            "classifier": "unequal_centres",
            "amplitudes": (
                ((1.0, 1.4, 0.8), (0.9, 1.2)),
                ((0.5,), (1.0, 1.5, 2.0)),
            ),
            "exponents": (2.0, 3.0, 5.0),
        },
        _unequal,
        (
            scaled(1.1),
            Decoy("p -> p + 0.25", lambda s, _: _unequal(s, bend=0.25)),
        ),
    ),
)
