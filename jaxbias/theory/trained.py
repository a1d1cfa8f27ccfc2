"""Claims about trained networks: what gradient flow finds at p = 1 and at p = 3.

Squared loss, balanced small initialisation; every seed is judged, none averaged.
"""

from functools import partial

import numpy as np

from jaxbias.theory import radii
from jaxbias.theory._claim import (
    Claim,
    Decoy,
    Remainder,
    Setting,
    Source,
    no_hypotheses,
    scaled,
)
from jaxbias.theory._trained_runs import (
    CONVENTIONS,
    SETTING,
    least_cosine,
    relative,
    training,
    with_error,
)
from jaxbias.theory._verdict import (
    judge_at_least,
    judge_at_most,
    judge_interval,
)


def _judge_cosine(arrays, prediction, remainder, alpha, *, name):
    del alpha
    value, error = with_error(arrays, lambda a: least_cosine(a, name), remainder.delta)
    bound = prediction["value"] - remainder.delta
    return judge_at_least(value - error, value + error, bound, error=error)


def _judge_values(arrays, prediction, remainder, alpha, *, name):
    del alpha
    value, error = with_error(arrays, lambda a: a[name], np.min(remainder.delta))
    return judge_interval(
        value - error, value + error, prediction["value"], remainder.delta, error
    )


def _judge_upper(arrays, prediction, remainder, alpha):
    return _judge_values(arrays, prediction, remainder, alpha, name="radius_upper")


def _judge_lower(arrays, prediction, remainder, alpha):
    del alpha
    value, error = with_error(
        arrays, lambda a: a["radius_lower"], np.min(remainder.delta)
    )
    bound = prediction["value"] - remainder.delta
    return judge_at_least(value - error, value + error, bound, error=error)


def _judge_certificate(arrays, prediction, remainder, alpha):
    del alpha
    lower = prediction["value"] * arrays["radius_lower"]
    gap = lower - arrays["radius_upper"]
    return judge_at_most(gap, gap, remainder.delta, sampled=True)


def _averaged(setting: Setting, shift: int = 0):
    return {"value": np.array(radii.averaged_radius(setting["clusters"] + shift))}


def _per_centre(setting: Setting, exponent: float | None = None):
    own, other = radii.split(setting["clusters"], setting["positive"])
    p = setting["exponent"] if exponent is None else exponent
    values = [radii.per_centre_radius(other, p)] * own
    values += [radii.per_centre_radius(own, p)] * other
    return {"value": np.array(values)[None, :]}


def _class_sizes(setting: Setting, shift: int = 0):
    own, other = radii.split(setting["clusters"], setting["positive"])
    return {"value": np.sqrt(np.array([[own + shift, other + shift]], float))}


def _claim(name, statement, exponent, kind, predict, remainder, judge, decoys, **more):
    return Claim(
        id=f"jaxbias/{name}",
        statement=statement,
        source=Source("jaxbias", "trained networks, checks 14 to 16"),
        provenance="derived",
        kind=kind,
        quantifier="every seed run, at the sizes of the setting",
        conventions=CONVENTIONS,
        setting={**SETTING, "exponent": exponent},
        hypotheses=no_hypotheses,
        predict=predict,
        remainder=remainder,
        evidence=training,
        judge=judge,
        decoys=decoys,
        stochastic=True,
        family=f"jaxbias/trained/{'averages' if exponent == 1 else 'centres'}",
        **{"expected": "holds", **more},
    )


_ONE = lambda s: {"value": np.array(1.0)}
_MORE_CLUSTERS = Decoy("K -> K + 1", lambda s, _: _averaged(s, 1))
_AS_CENTRES = Decoy("another network: F^(3)", lambda s, _: _per_centre(s, 3.0))
_AS_AVERAGES = Decoy("another network: F", lambda s, _: _averaged(s))
_HALVED = Decoy("sqrt(K_c) -> sqrt(K_c + 1)", lambda s, _: _class_sizes(s, 1))
_SAMPLING = "a cluster mean is off by alpha/sqrt(N) = 0.7 %, which moves it below 2 %"

CLAIMS = (
    _claim(
        "trained-averages/cosine",
        "At p = 1 every dominant neuron ends along the average of its class: its"
        " cosine is at least 0.995.",
        1.0,
        "closed form",
        _ONE,
        lambda s: Remainder(0.005, "noise tilts an average by at most alpha^2 twice"),
        partial(_judge_cosine, name="class_cosines"),
        (scaled(1.1), scaled(1.01)),
    ),
    _claim(
        "trained-averages/amplitudes",
        "At p = 1 the amplitudes sum |v||w| of the two classes are sqrt(K1) and"
        " sqrt(K2), within 2 %.",
        1.0,
        "closed form",
        _class_sizes,
        relative(0.02, _SAMPLING, _class_sizes),
        partial(_judge_values, name="amplitudes"),
        (scaled(1.1), _HALVED),
    ),
    _claim(
        "trained-averages/radius-upper",
        "At p = 1 an attack on the trained network reaches a centre's boundary within"
        " 3 % of 1/sqrt(K).",
        1.0,
        "certified interval",
        _averaged,
        relative(0.03, "amplitudes within 2 % and tilts within 1 %", _averaged),
        _judge_upper,
        (scaled(1.1), _MORE_CLUSTERS, _AS_CENTRES),
    ),
    _claim(
        "trained-averages/radius-lower",
        "At p = 1 the trained network is certified at every centre to 0.97/sqrt(K).",
        1.0,
        "certified interval",
        _averaged,
        relative(0.03, "amplitudes within 2 % and tilts within 1 %", _averaged),
        _judge_lower,
        (scaled(1.1), _AS_CENTRES),
    ),
    _claim(
        "trained-averages/certificate",
        "The root certificate (N_+ - N_-)/L of a trained bias-free net is never above"
        " the radius an attack reaches (p = 1).",
        1.0,
        "inequality",
        _ONE,
        lambda s: Remainder(1e-9, "rounding"),
        _judge_certificate,
        (scaled(1.1), scaled(1.5)),
        expected="not refuted",
    ),
    _claim(
        "trained-centres/cosine",
        "At p = 3 every dominant neuron ends at a centre of its class: its cosine is"
        " at least 0.999.",
        3.0,
        "closed form",
        _ONE,
        lambda s: Remainder(0.001, "1 - cos = O(alpha^2/D) per centre, over N"),
        partial(_judge_cosine, name="centre_cosines"),
        (scaled(1.1), scaled(1.01)),
    ),
    _claim(
        "trained-centres/amplitudes",
        "At p = 3 every cluster's amplitude z_k = sum |v||w| is 1 within 2 %.",
        3.0,
        "closed form",
        _ONE,
        lambda s: Remainder(0.02, _SAMPLING),
        partial(_judge_values, name="cluster_amplitudes"),
        (
            scaled(1.1),
            Decoy("amplitude 1/sqrt(K1)", lambda s, _: {"value": np.sqrt(1 / 3)}),
        ),
    ),
    _claim(
        "trained-centres/radius-upper",
        "At p = 3 an attack on the trained network reaches a centre's boundary within"
        " 0.01 of sqrt(2)/2.",
        3.0,
        "certified interval",
        _per_centre,
        lambda s: Remainder(0.01, "amplitudes within 2 % enter to the power 1/p"),
        _judge_upper,
        (scaled(1.1), _AS_AVERAGES),
    ),
    _claim(
        "trained-centres/radius-lower",
        "At p = 3 the trained network is certified at every centre to 0.98 sqrt(2)/2.",
        3.0,
        "certified interval",
        _per_centre,
        relative(0.02, "cosines above 0.999 tilt the certificate's L", _per_centre),
        _judge_lower,
        (scaled(1.1), scaled(1.03)),
    ),
    _claim(
        "trained-centres/certificate",
        "The root certificate (N_+ - N_-)/L of a trained bias-free net is never above"
        " the radius an attack reaches (p = 3).",
        3.0,
        "inequality",
        _ONE,
        lambda s: Remainder(1e-9, "rounding"),
        _judge_certificate,
        (scaled(1.1), scaled(1.5)),
        expected="not refuted",
    ),
)
