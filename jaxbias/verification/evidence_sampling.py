"""Monte Carlo on explicit classifiers, in the coordinates of the centres.

With orthonormal centres the projections of ``N(0, noise^2 I/dim)`` on them are
independent ``N(0, noise^2/dim)``, and no other coordinate enters.
"""

import math

import numpy as np
from scipy import optimize, special

from jaxbias.verification.evidence import computation

_STATED = {
    "norm": "l_2",
    "tie": "y f <= 0 is an error",
    "readout": "sign",
    "centre_norm": "1",
    "noise_unit": "alpha/sqrt(D) per coordinate",
}


def draw(parameters, root) -> tuple[np.ndarray, np.ndarray, int]:
    """Samples with the own class in front: (sample, centre), own sizes, and count.

    Returns the projections ordered (own cluster, rest of its class, other class)
    for each class: two blocks, positive first.
    """
    rng = np.random.default_rng(root)
    clusters, positive = parameters["clusters"], parameters["positive"]
    count = parameters["samples"]
    first = int(rng.binomial(count, positive / clusters))
    spread = parameters["noise"] / math.sqrt(parameters["dim"])
    x = spread * rng.standard_normal((count, clusters))
    x[:, 0] += 1
    return x[:first], x[first:], count


def _averaged(own: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact radius of F: the nearer of a half-space and a wedge."""
    a, b = own.sum(axis=1), other.sum(axis=1)
    ka, kb = own.shape[1], other.shape[1]
    # Errors: {a <= 0}, and {a <= b, b >= 0}; project on each in the (a, b) metric.
    half = a / math.sqrt(ka)
    foot = b + (a - b) * kb / (ka + kb)
    plane = (a - b) / math.sqrt(ka + kb)
    edge = np.sqrt(a**2 / ka + b**2 / kb)
    radius = np.minimum(half, np.where(foot >= 0, plane, edge))
    right = a > np.maximum(b, 0)
    radius = np.where(right, np.maximum(radius, 0), 0.0)
    return radius, radius


def _along(score, own, other, steps: int = 50) -> np.ndarray:
    """Upper bound: distance to the boundary towards the strongest rival centre."""
    rows = np.arange(len(own))
    rival = np.argmax(other, axis=1)
    low, high = np.zeros(len(own)), np.full(len(own), 2.0)
    for _ in range(steps):
        middle = (low + high) / 2
        a, b = own.copy(), other.copy()
        a[:, 0] -= middle / math.sqrt(2)
        b[rows, rival] += middle / math.sqrt(2)
        correct = score(a, b) > 0
        low, high = np.where(correct, middle, low), np.where(correct, high, middle)
    return np.where(score(own, other) > 0, high, 0.0)


def _lipschitz(score, own, other) -> tuple[np.ndarray, np.ndarray]:
    """Interval for a sqrt(2)-Lipschitz score: a certificate and a line search."""
    lower = np.maximum(score(own, other), 0) / math.sqrt(2)
    return lower, _along(score, own, other)


def _scores(name: str, parameters):
    if name == "nearest":
        return lambda a, b: a.max(axis=1) - b.max(axis=1)
    if name == "bayes":
        heat = parameters["dim"] / parameters["noise"] ** 2
        return lambda a, b: _soft_max(a, heat) - _soft_max(b, heat)
    p = parameters["exponent"]
    return lambda a, b: _length(a, p) - _length(b, p)


def _soft_max(scores: np.ndarray, heat: float) -> np.ndarray:
    return np.asarray(special.logsumexp(heat * scores, axis=1)) / heat


def _length(scores: np.ndarray, order: float) -> np.ndarray:
    return np.linalg.norm(np.maximum(scores, 0), ord=order, axis=1)


def _radii(name: str, parameters, root) -> tuple[np.ndarray, np.ndarray]:
    positive, negative, _ = draw(parameters, root)
    own = parameters["positive"]
    blocks = (positive, own), (negative, parameters["clusters"] - own)
    ends = []
    for block, size in blocks:
        a, b = block[:, :size], block[:, size:]
        if name == "averaged":
            ends.append(_averaged(a, b))
        else:
            ends.append(_lipschitz(_scores(name, parameters), a, b))
    if parameters.get("side") == "positive":
        ends = ends[:1]
    lower, upper = (np.concatenate(side) for side in zip(*ends))
    return lower, upper


@computation("sampling/radii", **_STATED)
def radii(parameters, root):
    """Radius interval of every sample; cases are classifiers or exponents."""
    ends = []
    for case in parameters["cases"]:
        name, more = case if isinstance(case, tuple) else (case, {})
        ends.append(_radii(name, {**parameters, **more}, root))
    lower, upper = (np.array(side) for side in zip(*ends))
    return {"lower": lower, "upper": upper, "seeds": lower.shape[1]}


@computation("sampling/universal", **_STATED)
def universal(parameters, root):
    """Samples that F gets wrong at x + y (1+rho)/sqrt(K) d0, for every rho."""
    clusters, own = parameters["clusters"], parameters["positive"]
    wrong = []
    for noise in parameters["noises"]:
        positive, negative, _ = draw({**parameters, "noise": noise}, root)
        for excess in parameters["excesses"]:
            missed = 0
            for block, size in ((positive, own), (negative, clusters - own)):
                # y d0 lowers every own coordinate and raises every other one.
                step = (1 + excess) / clusters
                a = (block[:, :size] - step).sum(axis=1)
                b = (block[:, size:] + step).sum(axis=1)
                missed += int(np.sum(np.maximum(a, 0) - np.maximum(b, 0) <= 0))
            wrong.append(missed)
    count = parameters["samples"]
    return {"count": np.array(wrong), "trials": count, "seeds": count}


@computation("sampling/one_direction", **_STATED)
def one_direction(parameters, root):
    """Least share of centres that F keeps over every single direction, noise 0.

    F sees a direction only by s = <d, mu_+> and t = <d, mu_->, with
    ``s^2/K1 + t^2/K2 <= 1``: a grid with a Lipschitz allowance covers them all.
    """
    del root
    clusters, own = parameters["clusters"], parameters["positive"]
    radius = (1 + parameters["excess"]) / math.sqrt(clusters)
    axis = np.linspace(-1, 1, parameters["grid"])
    s, t = (radius * g for g in np.meshgrid(axis, axis))
    s, t = s * math.sqrt(own), t * math.sqrt(clusters - own)
    # Half a cell's diagonal moves either score by at most this much.
    cell = radius * math.sqrt(clusters) * (axis[1] - axis[0])
    inside = s**2 / own + t**2 / (clusters - own) <= (radius + cell) ** 2
    shares = np.array([own, clusters - own]) / clusters
    first = np.maximum(1 + s, 0) - np.maximum(t, 0)
    second = np.maximum(1 + t, 0) - np.maximum(s, 0)
    sure = shares[0] * (first > cell) + shares[1] * (second > cell)
    kept = shares[0] * (first > 0) + shares[1] * (second > 0)
    index = np.argmin(np.where(inside, kept, np.inf))
    return {
        "lower": np.array([sure[inside].min()]),
        "upper": np.array([kept.flat[index]]),
        "witness": {
            "direction (<d,mu_+>, <d,mu_->)": [
                float(s.flat[index] / radius),
                float(t.flat[index] / radius),
            ],
            "share still correct": float(kept.flat[index]),
        },
    }


@computation("sampling/one_direction_exact", **_STATED)
def one_direction_exact(parameters, root):
    """The same by quadratic programs: what radius flips both classes at once?"""
    del root
    clusters, own = parameters["clusters"], parameters["positive"]
    radius = (1 + parameters["excess"]) / math.sqrt(clusters)
    weights = np.array([1 / own, 1 / (clusters - own)])
    # Each piece is {z = (s, t) : rows z <= -ones}: one choice of how F fails.
    lost_first = ([[1, 0]], [-1]), ([[1, -1], [0, -1]], [-1, 0])
    lost_second = ([[0, 1]], [-1]), ([[-1, 1], [-1, 0]], [-1, 0])
    sizes = []
    for rows, limits in lost_first:
        for more, others in lost_second:
            found = optimize.minimize(
                lambda z: float(weights @ z**2),
                np.array([-1.0, -1.0]),
                constraints={
                    "type": "ineq",
                    "fun": lambda z, r=rows + more, b=limits + others: (
                        np.array(b) - np.array(r) @ z
                    ),
                },
                method="SLSQP",
                options={"ftol": 1e-14},
            )
            if found.success:
                sizes.append(math.sqrt(found.fun))
    both = min(sizes, default=math.inf)
    single = 1 / math.sqrt(clusters)
    share = np.array([own, clusters - own]) / clusters
    least = 1.0 if radius < single else (0.0 if radius >= both else share.min())
    return {"lower": np.array([least]), "upper": np.array([least])}


@computation("sampling/descent", **_STATED)
def descent(parameters, root):
    """Count of samples the papers' PGD leaves correct on F^(p).

    Start at 0, step 0.1 along the gradient of the batch-mean exponential loss over
    (its norm + 1e-7), projection on the ball, batch of 20000.
    """
    p, radius, batch = parameters["exponent"], parameters["radius"], 20000
    positive, negative, count = draw(parameters, root)
    own = parameters["positive"]
    kept = 0
    for block, size in ((positive, own), (negative, parameters["clusters"] - own)):
        signs = np.where(np.arange(block.shape[1]) < size, 1.0, -1.0)
        shift = np.zeros_like(block)
        for _ in range(parameters["steps"]):
            active = np.maximum(block + shift, 0)
            gate = active ** (p - 1)
            score = (gate * active) @ signs
            push = (-p * np.exp(-score) / batch)[:, None] * gate * signs
            size_of = np.sqrt(np.einsum("ij,ij->i", push, push))
            shift += (0.1 / (size_of + 1e-7))[:, None] * push
            length = np.sqrt(np.einsum("ij,ij->i", shift, shift))
            shift *= np.minimum(1, radius / np.maximum(length, 1e-30))[:, None]
        kept += int(np.sum((np.maximum(block + shift, 0) ** p) @ signs > 0))
    return {"count": np.array([kept]), "trials": np.array([count]), "seeds": count}
