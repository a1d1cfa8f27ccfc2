"""Radii of averaged and decoupled networks at centres, under each read-out.

Closed forms are not used here.
"""

import math

import numpy as np

from jaxbias.verification._polyhedra import nearest
from jaxbias.verification._readout_networks import (
    TIES,
    Network,
    averaged,
    axes,
    breaking_length,
    build,
    decoupled,
    mixture,
    pieces,
    radii,
)
from jaxbias.verification.evidence import computation

_NORM = {"centre_norm": "sqrt(d)"}


def _case(parameters, case) -> tuple[Network, np.ndarray]:
    own, opposite, *value = case
    centres = axes(own + opposite, parameters["dim"])
    name, readout = parameters["network"], parameters["readout"]
    return build(name, readout, centres, own, *value), centres


def _stated(parameters) -> dict[str, str]:
    tie = TIES[parameters.get("tie", "<=")]
    return {"norm": "l_2", "tie": tie, "readout": parameters["readout"]}


def _arrays(ends, parameters) -> dict:
    low, high = np.array(ends).T
    return {"lower": low, "upper": high, "conventions": _stated(parameters)}


@computation("readouts/radii", **_NORM)
def centre_radii(parameters, root):
    """Radius interval at the first centre, for every case."""
    del root
    ends = []
    for case in parameters["cases"]:
        network, centres = _case(parameters, case)
        tie = parameters.get("tie", "<=")
        lower, upper = radii(network, centres[:1], 1, tie=tie)
        if parameters.get("witness") == "midpoint":
            middle = (centres[0] + centres[-1])[None] / 2
            broken = network.margins(middle, 1) <= 0
            reach = np.linalg.norm(middle - centres[0])
            upper = np.where(broken, np.maximum(upper, reach), math.inf)
        ends.append((lower[0], upper[0]))
    return _arrays(ends, parameters)


@computation("readouts/slope", **_NORM)
def slope(parameters, root):
    """Ends of the least-squares slope of log radius in log k."""
    found = centre_radii(parameters, root)
    x = np.log([own + opposite for own, opposite in parameters["cases"]])
    weights = (x - x.mean()) / ((x - x.mean()) @ (x - x.mean()))
    low, high = np.log(found["lower"]), np.log(found["upper"])
    first = np.where(weights > 0, low, high) @ weights
    last = np.where(weights > 0, high, low) @ weights
    return {"slope": (first, last), "conventions": _stated(parameters)}


def _direction(name: str, centres: np.ndarray, own: int, index: int) -> np.ndarray:
    toward = centres[own:].sum(axis=0)
    if name == "universal":
        step = toward - centres[:own].sum(axis=0)
    elif name == "own":
        step = -centres[:own].sum(axis=0)
    else:
        step = toward - centres[index]
    return step / np.linalg.norm(step)


@computation("readouts/directions", **_NORM)
def directions(parameters, root):
    """Length at which a direction breaks the centres of the first class."""
    del root
    ends, far = [], 3 * math.sqrt(parameters["dim"])
    for case in parameters["cases"]:
        network, centres = _case(parameters, case)
        found = []
        for index in range(case[0]):
            step = _direction(parameters["direction"], centres, case[0], index)
            found.append(breaking_length(network, centres[index], step, 1, far))
        ends.append((min(low for low, _ in found), max(high for _, high in found)))
    return _arrays(ends, parameters)


@computation("readouts/ratios", norm="l_2", tie=TIES["<="], **_NORM)
def ratios(parameters, root):
    """Radii of the decoupled network, by largest output and by sums, over averaging."""
    del root
    lows, highs = [], []
    for clusters in parameters["clusters"]:
        centres, own = axes(clusters, parameters["dim"]), clusters // 2
        low, high = radii(averaged(centres, own), centres[:1], 1)
        fine = [
            radii(decoupled(centres, own, name), centres[:1], 1)
            for name in ("group argmax", "summed logits")
        ]
        lows.append([ends[0][0] / high[0] for ends in fine])
        highs.append([ends[1][0] / low[0] for ends in fine])
    return {"lower": np.array(lows), "upper": np.array(highs)}


@computation("readouts/interval", **_NORM)
def interval(parameters, root):
    """Ends of the thresholds at which sums reach half the distance of two centres."""
    del root

    def falls_short(threshold: float, opposite: int) -> bool:
        centres = axes(1 + opposite, parameters["dim"])
        network = decoupled(centres, 1, "summed logits", threshold=threshold)
        half = float(np.linalg.norm(centres[0] - centres[1])) / 2
        where = pieces(network, 1, parameters["tie"])
        return nearest(where, centres[0], 2)[0] < (1 - 1e-6) * half

    def edge(wrong: float, right: float, opposite: int) -> float:
        if not falls_short(wrong, opposite):
            return wrong
        while abs(right - wrong) > 1e-6:
            middle = (wrong + right) / 2
            short = falls_short(middle, opposite)
            wrong, right = (middle, right) if short else (wrong, middle)
        return right

    inside, opposites = parameters["inside"], parameters["opposites"]
    if any(falls_short(inside, opposite) for opposite in opposites):
        found = np.full(2, math.nan)
    else:
        first = max(edge(0.0, inside, opposite) for opposite in opposites)
        last = min(edge(0.5, inside, opposite) for opposite in opposites)
        found = np.array([first, last])
    return _arrays(np.stack([found - 1e-6, found + 1e-6], axis=1), parameters)


@computation("readouts/class_margins", **_NORM)
def class_margins(parameters, root):
    """Least margins at centres over classes of the same label and of the other."""
    del root
    rows = []
    for case in parameters["cases"]:
        network, centres = _case({**parameters, "readout": "group argmax"}, case)
        outputs = network.outputs(centres)
        margins = np.diag(outputs)[:, None] - outputs
        same = np.equal.outer(network.groups, network.groups)
        others = same & ~np.eye(len(centres), dtype=bool)
        rows.append([margins[others].min(), margins[~same].min()])
    measured = np.array(rows)
    error = np.full(measured.shape, 1e-12 * max(1.0, float(measured.max())))
    return {"measured": measured, "error": error, "conventions": _stated(parameters)}


@computation("readouts/linf", norm="l_inf", tie=TIES["<="], **_NORM)
def linf(parameters, root):
    """l_inf radius at the first of random orthogonal centres, by draw."""
    rng = np.random.default_rng(root)
    own, dim = parameters["own"], parameters["dim"]
    name, readout = parameters["network"], parameters["readout"]
    values = []
    for _ in range(parameters["draws"]):
        gauss = rng.standard_normal((dim, own + parameters["opposite"]))
        centres = math.sqrt(dim) * np.linalg.qr(gauss)[0].T
        network = build(name, readout, centres, own)
        values.append(radii(network, centres[:1], 1, order=math.inf)[1][0])
    return {
        "values": np.array(values),
        "seeds": len(values),
        "conventions": {"readout": readout},
    }


@computation("readouts/linf_axes", norm="l_inf", tie=TIES["<="], **_NORM)
def linf_axes(parameters, root):
    """l_inf radii at an axis-aligned centre: averaged, then decoupled."""
    del root
    own = parameters["own"]
    centres = axes(own + parameters["opposite"], parameters["dim"])
    both = averaged(centres, own), decoupled(centres, own, "group argmax")
    ends = [radii(network, centres[:1], 1, order=math.inf) for network in both]
    low, high = (np.array([end[side][0] for end in ends]) for side in (0, 1))
    return {"lower": low, "upper": high}


def family(name: str, centres: np.ndarray, own: int, rng) -> Network:
    """One of the networks that bounds on every classifier are held against."""
    if name == "averaged":
        return averaged(centres, own)
    if name == "mixture":
        return mixture(centres, own, 1.0)
    if name in ("group argmax", "summed logits"):
        return decoupled(centres, own, name)
    if name == "threshold":
        return decoupled(centres, own, "summed logits", threshold=0.25)
    made = decoupled(centres, own, "summed logits", threshold=0.1)
    tilt = 0.3 * rng.standard_normal(centres.shape) / np.linalg.norm(centres[0])
    sizes = rng.uniform(0.5, 2.0, len(centres))
    return made._replace(hidden=made.hidden + tilt, sizes=sizes)


@computation("readouts/pairs", norm="l_2", tie=TIES["<="], **_NORM)
def pairs(parameters, root):
    """Largest, over pairs of opposite clusters, of the smaller of two radii."""
    rng = np.random.default_rng(root)
    own, count = parameters["own"], parameters["own"] + parameters["opposite"]
    centres = axes(count, parameters["dim"])
    shifts = rng.standard_normal((parameters["noises"], count))
    shifts = np.concatenate([np.zeros((1, count)), shifts])
    ends = []
    for name in parameters["networks"]:
        network, worst = family(name, centres, own, rng), []
        for shift in shifts:
            points = centres + shift
            first = radii(network, points[:own], 1)
            second = radii(network, points[own:], -1)
            worst.append(
                [
                    np.minimum.outer(*sides).max()
                    for sides in zip(first, second, strict=True)
                ]
            )
        ends.append(np.max(worst, axis=0))
    low, high = np.array(ends).T
    return {"lower": low, "upper": high, "seeds": len(shifts)}
