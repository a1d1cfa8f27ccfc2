"""Errors of the explicit classifiers on fresh samples, where errors are frequent."""

import math

import numpy as np

from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_sampling import draw

_STATED = {
    "norm": "l_2",
    "tie": "y f <= 0 is an error",
    "readout": "sign",
    "centre_norm": "1",
    "noise_unit": "alpha/sqrt(D) per coordinate",
}


def _blocks(parameters, clusters: int, positive: int, noise: float, root):
    """Projections on the own and on the other class's centres, class by class."""
    asked = {
        "clusters": clusters,
        "positive": positive,
        "noise": noise,
        "dim": parameters["dim"],
        "samples": parameters["samples"],
    }
    first, second, _ = draw(asked, root)
    yield first[:, :positive], first[:, positive:]
    rest = clusters - positive
    yield second[:, :rest], second[:, rest:]


def _counts(parameters, root, wrong) -> np.ndarray:
    """Errors by (batch, case); ``wrong(own, other, case)`` says which samples err."""
    table = np.zeros((parameters["batches"], len(parameters["cases"])), int)
    for batch, row in enumerate(table):
        for place, case in enumerate(parameters["cases"]):
            clusters, positive, noise = case[:3]
            roots = [root, batch, place]
            blocks = _blocks(parameters, clusters, positive, noise, roots)
            row[place] = sum(int(wrong(*block, case).sum()) for block in blocks)
    return table


def _told(parameters, surely: np.ndarray, possibly: np.ndarray) -> dict:
    samples, batches = parameters["samples"], parameters["batches"]
    return {
        "surely": surely,
        "possibly": possibly,
        "trials": samples,
        "seeds": samples * batches,
    }


def norm(scores: np.ndarray, exponent: float) -> np.ndarray:
    """``|s(scores)|_p``, row by row."""
    return np.linalg.norm(np.maximum(scores, 0), ord=exponent, axis=1)


@computation("clean/averaged", **_STATED)
def averaged(parameters, root):
    """Errors of F by (batch, case); a case is (clusters, positive, noise)."""

    def wrong(own, other, case):
        del case
        a, b = own.sum(axis=1), other.sum(axis=1)
        return np.maximum(a, 0) - np.maximum(b, 0) <= 0

    found = _counts(parameters, root, wrong)
    return _told(parameters, found, found)


@computation("clean/per_centre", **_STATED)
def per_centre(parameters, root):
    """Errors of F^(p) by (batch, case)."""
    p = parameters["exponent"]

    def wrong(own, other, case):
        del case
        return norm(own, p) <= norm(other, p)

    found = _counts(parameters, root, wrong)
    return _told(parameters, found, found)


@computation("clean/robust", **_STATED)
def robust(parameters, root):
    """Samples that F^(p) loses within (sqrt(2) - delta)/2; a case ends with delta.

    ``possibly``: those without a certificate ``(|s(x_+)|_p - |s(x_-)|_p)/sqrt(2)``;
    ``surely``: those that a step from the strongest own to the strongest other centre
    makes wrong.
    """
    p = parameters["exponent"]

    def uncertified(own, other, case):
        radius = (math.sqrt(2) - case[3]) / 2
        return (norm(own, p) - norm(other, p)) / math.sqrt(2) <= radius

    def broken(own, other, case):
        step = (math.sqrt(2) - case[3]) / math.sqrt(8)
        rows = np.arange(len(own))
        a, b = own.copy(), other.copy()
        a[rows, np.argmax(own, axis=1)] -= step
        b[rows, np.argmax(other, axis=1)] += step
        # Its own class may lose more at the origin of its coordinates than beyond.
        return (norm(own, p) <= norm(other, p)) | (norm(a, p) <= norm(b, p))

    surely = _counts(parameters, root, broken)
    return _told(parameters, surely, _counts(parameters, root, uncertified))


def tilted_rows(clusters: int, positive: int, misalignment: float) -> np.ndarray:
    """Unit neurons, one a centre, each leaning to a centre of the other class."""
    angle = 2 * math.asin(math.sqrt(misalignment / 2))
    rival = np.arange(clusters) % (clusters - positive) + positive
    rival[positive:] = np.arange(clusters - positive) % positive
    unit = np.eye(clusters)
    return math.cos(angle) * unit + math.sin(angle) * unit[rival]


def _interval(x, rows, positive: int, side: int, exponent: float):
    """Radius interval of every x by the certificate of a network and one line."""
    own = np.arange(len(rows)) < positive
    if side < 0:
        own = ~own

    def gap(points):
        scores = points @ rows.T
        return norm(scores[:, own], exponent) - norm(scores[:, ~own], exponent)

    largest = [np.linalg.norm(rows[part], ord=2) ** 2 for part in (own, ~own)]
    slopes = np.array(largest) ** (1 / exponent)
    between = max(0.0, float(np.max(-(rows[own] @ rows[~own].T))))
    counts = own.sum(), (~own).sum()
    crossed = 2 * between * (counts[0] * counts[1]) ** (1 / exponent)
    steepest = min(slopes.sum(), math.sqrt((slopes**2).sum() + crossed))
    lower = np.maximum(gap(x), 0) / steepest
    places = np.arange(x.shape[1])
    strongest = np.argmax(np.where(own[places], x, -np.inf), axis=1)
    rival = np.argmax(np.where(own[places], -np.inf, x), axis=1)
    line = (np.eye(x.shape[1])[rival] - np.eye(x.shape[1])[strongest]) / math.sqrt(2)
    near, far = np.zeros(len(x)), np.full(len(x), 2.0)
    for _ in range(30):
        middle = (near + far) / 2
        kept = gap(x + middle[:, None] * line) > 0
        near, far = np.where(kept, middle, near), np.where(kept, far, middle)
    return lower, np.where(gap(x) > 0, far, 0.0)


@computation("clean/tilted", **_STATED)
def tilted(parameters, root):
    """Radius intervals of a tilted network; a case is (clusters, positive, dim)."""
    ends = []
    for place, (clusters, positive, dim) in enumerate(parameters["cases"]):
        rows = tilted_rows(clusters, positive, parameters["misalignment"])
        asked = {**parameters, "dim": dim}
        noise = parameters["noise"]
        blocks = _blocks(asked, clusters, positive, noise, [root, place])
        sides = []
        for side, (own, other) in zip((1, -1), blocks, strict=True):
            x = np.hstack([own, other] if side > 0 else [other, own])
            sides.append(_interval(x, rows, positive, side, parameters["exponent"]))
        ends.append([np.concatenate(part) for part in zip(*sides, strict=True)])
    lower, upper = (np.array(part) for part in zip(*ends, strict=True))
    return {"lower": lower, "upper": upper, "seeds": lower.size}
