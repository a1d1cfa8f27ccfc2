"""Steps of MV25's proof, measured one by one."""

import math

import numpy as np
from scipy.integrate import solve_ivp

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_convergence import Runs, advance, forward
from jaxbias.verification.evidence_early import velocity
from jaxbias.verification.evidence_growth import outputs

_FLOW = {
    "clock": "per_cluster_mean",
    "centre_norm": "1",
    "output_layer": "trained, balanced",
}
_SQUARED = {**_FLOW, "loss_scale": "(y - f)^2 / 2"}


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def voronoi_gap(cosines: np.ndarray) -> np.ndarray:
    """``1 - sup cos`` to the boundary of the Voronoi regions, from own cosines (., k).

    The boundary holds the ties of the two closest centres, and the vectors to which
    no centre has a positive cosine.
    """
    ranked = np.sort(cosines, axis=1)
    second, best = ranked[:, -2], ranked[:, -1]
    tie = np.where(best + second >= 0, (best - second) ** 2 / 2, np.inf)
    empty = (np.maximum(cosines, 0) ** 2).sum(axis=1)
    return 1 - np.sqrt(1 - np.minimum(tie, empty))


@computation("steps/gaps", centre_norm="1")
def gaps(parameters, root):
    """Gap, best own cosine and largest active rival's share of it, random starts."""
    rng = np.random.default_rng(root)
    found = []
    for own in parameters["own"]:
        start = _unit(rng.standard_normal((parameters["draws"], own + 1)))[:, :own]
        start = start[np.max(start, axis=1) > 0]
        gap = voronoi_gap(start)
        kept = gap <= parameters["largest"]
        second, best = np.sort(start[kept], axis=1)[:, -2:].T
        found.append((gap[kept], best, np.maximum(second, 0) / best))
    gap, best, share = (np.concatenate(part) for part in zip(*found, strict=True))
    return {"gap": gap, "cosine": best, "share": share, "seeds": gap.size}


@computation(
    "steps/early_outputs", noise_unit="alpha/sqrt(D) per coordinate", **_SQUARED
)
def early_outputs(parameters, root):
    """Sup over [0, t2] of max_k |f(mu_k)| over eps sqrt(h) W_max^2, per eps and start.

    The first start has every neuron on one centre with positive output weight, which
    is the worst; the others are random.
    """
    p, h = parameters["exponent"], parameters["width"]
    clusters, dim = parameters["clusters"], parameters["dim"]
    samples, starts = parameters["samples"], parameters["starts"]
    rng = np.random.default_rng(root)
    signs = np.where(np.arange(clusters) < parameters["positive"], 1.0, -1.0)
    centres = np.eye(clusters, dim)
    cloud = rng.standard_normal((starts, clusters, samples, dim)) / math.sqrt(dim)
    inputs = centres[:, None] + parameters["noise"] * cloud
    shape = _unit(rng.standard_normal((starts, h, dim)))
    sense = np.where(rng.random((starts, h)) < 0.5, 1.0, -1.0)
    shape[0], sense[0] = centres[0], 1.0
    table = []
    for scale, horizon in zip(parameters["scales"], parameters["ends"], strict=True):
        runs = Runs(
            inputs.reshape(starts, -1, dim),
            np.repeat(signs, samples),
            scale * shape,
            scale * sense,
        )
        worst = np.zeros(starts)
        for _ in range(parameters["records"]):
            seen = np.broadcast_to(centres, (starts, *centres.shape))
            at_centres, _, _ = forward(runs._replace(inputs=seen), p)
            worst = np.maximum(worst, np.abs(at_centres).max(axis=1))
            if horizon > 0:
                span = horizon / parameters["records"]
                runs = advance(runs, p, samples, span, span)
        table.append(worst / (scale * math.sqrt(h)))
    return {"measured": np.array(table), "seeds": starts}


@computation("steps/travel")
def travel(parameters, root):
    """Time of z' = (1 - z - q) z from z0 to z1; cases are (z0, 1 - q - z1, q)."""
    del root
    values = []
    for tolerance in (1e-9, 1e-9 / 3, 1e-9 / 9):
        row = []
        for begin, left, drag in parameters["cases"]:

            def reached(_, y, end=1 - drag - left):
                return math.exp(y[0]) - end

            reached.terminal = True
            run = solve_ivp(
                lambda _, y, q=drag: [1 - np.exp(y[0]) - q],
                (0, 1e3),
                [math.log(begin)],
                method="DOP853",
                rtol=tolerance,
                atol=tolerance,
                events=reached,
            )
            row.append(run.t_events[0][0] if run.t_events[0].size else math.nan)
        values.append(row)
    found = refined(*values, floor=1e-6)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


@computation("steps/good_event", noise_unit="alpha/sqrt(D) per coordinate")
def good_event(parameters, root):
    """Four maxima of each data set's noise e, in units of alpha; by (data set, 4).

    Largest ``|e_i|``, ``sqrt(D) |<mu_k, e_i>|``, ``|sum_(i in I_k) e_i|/sqrt(N)`` and
    ``sum_(i in I_k) |e_i|^2/N``.
    """
    clusters, samples = parameters["clusters"], parameters["samples"]
    dim, sets = parameters["dim"], parameters["draws"]
    rng = np.random.default_rng(root)
    rows = []
    for _ in range(sets):
        e = rng.standard_normal((clusters, samples, dim)) / math.sqrt(dim)
        squares = (e**2).sum(axis=2)
        rows.append(
            (
                math.sqrt(squares.max()),
                math.sqrt(dim) * np.abs(e[:, :, :clusters]).max(),
                np.linalg.norm(e.sum(axis=1), axis=1).max() / math.sqrt(samples),
                squares.mean(axis=1).max(),
            )
        )
    return {"maxima": np.array(rows), "seeds": sets}


def _rates(parameters, kind):
    c = np.array(parameters["cosines"], kind)[None, :]
    p = np.array(parameters["exponents"], kind)[:, None]
    return c, p


@computation("steps/rates", centre_norm="1")
def rates(parameters, root):
    """``p c^(p-1) (1 - 2^-(p-2))`` by (exponent, cosine)."""
    del root
    c, p = _rates(parameters, float)
    value = p * c ** (p - 1) * (1 - 2 ** -(p - 2))
    first = float(p[0, 0]), float(c[0, -1]), float(value[0, -1])
    witness = dict(zip(("exponent", "cosine", "left side"), first, strict=True))
    return {"measured": value, "error": 1e-14 * value, "witness": witness}


@computation("steps/rates_by_logs", centre_norm="1")
def rates_by_logs(parameters, root):
    """The same through logarithms in extended precision."""
    del root
    c, p = _rates(parameters, np.longdouble)
    rest = np.log(-np.expm1(-(p - 2) * np.log(np.longdouble(2))))
    value = np.exp(np.log(p) + (p - 1) * np.log(c) + rest)
    return {"measured": value.astype(float), "error": 1e-14 * value.astype(float)}


def _neuron(parameters, start, exponent, tolerance):
    """One neuron (centre, rest, v) that fits one positive centre, at the times."""

    def field(_, y):
        w, v = y[None, :-1], y[-1:]
        pull = 1 - outputs(w, v, 1, exponent)
        dw, dv = velocity(w, v, pull, exponent)
        return np.append(dw[0], dv)

    run = solve_ivp(
        field,
        (0, parameters["times"][-1]),
        start,
        method="DOP853",
        rtol=tolerance,
        atol=1e-18,
        t_eval=parameters["times"],
    )
    return run.y.T


@computation("steps/grown", **_SQUARED)
def grown(parameters, root):
    """Output at its centre of one aligned neuron, by a method of order 8.

    The witness is the rate at output 1/2, from the weights by hand.
    """
    del root
    size, p = math.sqrt(parameters["start"]), parameters["exponent"]
    half = math.sqrt(0.5)
    dw, dv = velocity(np.array([[half]]), np.array([half]), np.array([0.5]), p)
    witness = {
        "w": half,
        "v": half,
        "output": 0.5,
        "rate of the output": float(dw[0, 0] * half + dv[0] * half),
    }
    values = []
    for tolerance in (1e-9, 1e-9 / 3, 1e-9 / 9):
        path = _neuron(parameters, np.array([size, 0.0, size]), p, tolerance)
        values.append([outputs(y[None, :-1], y[-1:], 1, p)[0] for y in path])
    found = refined(*values, floor=1e-9)
    return {
        "measured": found.value,
        "error": found.error,
        "settled": found.converged,
        "witness": witness,
    }


@computation("steps/locked", **{**_SQUARED, "output_layer": "trained"})
def locked(parameters, root):
    """``d ln(1 - c^2) / d ln|w|`` from the start, by (exponent, share, time).

    ``share`` is |v|/|w| at the start; 1 is balance.
    """
    del root
    size, cosine = parameters["scale"], parameters["cosine"]
    values = []
    for tolerance in (1e-8, 1e-8 / 3, 1e-8 / 9):
        rows = []
        for p in parameters["exponents"]:
            for share in parameters["shares"]:
                side = math.sqrt(1 - cosine**2)
                start = size * np.array([cosine, side, share])
                path = np.vstack([start, _neuron(parameters, start, p, tolerance)])
                square = (path[:, :2] ** 2).sum(axis=1)
                logs = np.log(path[:, 1] ** 2 / square), np.log(square) / 2
                first, second = (part[1:] - part[0] for part in logs)
                rows.append(first / second)
        values.append(rows)
    found = refined(*values, floor=1e-7)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


def _network(parameters, exponent, rng):
    width, dim = parameters["width"], parameters["dim"]
    hidden = rng.standard_normal((width, dim))
    output = np.abs(rng.standard_normal(width))
    # Half the points of a sphere may be invisible to a neuron; one is met by all.
    point = np.abs(rng.standard_normal(dim))
    hidden[:, 0] = np.abs(hidden[:, 0]) + 1
    point[0] += 2 * dim
    return hidden, output, point


@computation("steps/degrees", centre_norm="1")
def degrees(parameters, root):
    """``ln(f(g x)/f(x)) / ln g``: a random network, then F^(p), by (p, g)."""
    rng = np.random.default_rng(root)
    values, witness = [], None
    for p in parameters["exponents"]:
        hidden, output, point = _network(parameters, p, rng)
        dim = parameters["dim"]
        for w, v, x in (
            (hidden, output, point),
            # One positive and one negative centre; x nearer to the first.
            (np.eye(2, dim), np.array([1.0, -1.0]), np.eye(dim)[0] + 0.3),
        ):
            norms = np.linalg.norm(w, axis=1)
            at = lambda x, w=w, v=v, n=norms, p=p: (
                (v * n) @ (np.maximum(w @ x / n, 0) ** p)
            )
            values.append(
                [
                    math.log(at(g * x) / at(x)) / math.log(g)
                    for g in parameters["factors"]
                ]
            )
        witness = {
            "exponent": p,
            "F^(p) at e_1": 1.0,
            "F^(p) at 2 e_1": 2.0**p,
        }
    measured = np.array(values)
    error = np.full(measured.shape, 1e-10)
    return {"measured": measured, "error": error, "witness": witness}


@computation("steps/degrees_by_package", centre_norm="1")
def degrees_by_package(parameters, root):
    """The same with the package's own forward pass."""
    import jax.numpy as jnp

    from jaxbias.networks import PReLU, per_centre_classifier
    from jaxbias.networks.weights import Weights, predict

    rng = np.random.default_rng(root)
    dim, values = parameters["dim"], []
    factors = np.array(parameters["factors"])
    for p in parameters["exponents"]:
        hidden, output, point = _network(parameters, p, rng)
        net = Weights(
            jnp.asarray(hidden),
            jnp.asarray(output),
            None,
            None,
            jnp.ones(len(output), bool),
        )
        ideal, _ = per_centre_classifier(
            jnp.eye(2, dim, dtype="float64"), jnp.asarray([1.0, -1.0]), p
        )
        for weights, x in ((net, point), (ideal, np.eye(dim)[0] + 0.3)):
            rows = np.append(1.0, factors)[:, None] * x[None, :]
            found = np.asarray(predict(weights, PReLU(p), jnp.asarray(rows)))
            values.append(np.log(found[1:] / found[0]) / np.log(factors))
    measured = np.array(values)
    return {"measured": measured, "error": np.full(measured.shape, 1e-10)}
