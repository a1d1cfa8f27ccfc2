"""Orthogonally separable data in weight space: activation, alignment, fit, rank.

Cases are ``(correlation, positive samples, spread)``, see
`jaxbias.verification._separable`. Angles and patterns are read from the weights.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp

from jaxbias.verification._separable import (
    Networks,
    State,
    aligned_networks,
    march,
    random_networks,
    separable_data,
    unit,
    velocity,
)
from jaxbias.verification.evidence import computation

_STATED = {
    "clock": "sum",
    "loss_scale": "exp(-y f)",
    "output_layer": "trained, balanced",
}
#: An output of this size in both classes is the operational start of the late phase.
_FITTED = 0.25


@computation("separable/boundary", **_STATED)
def boundary(parameters, root):
    """d/dt <w^, x_i y_i/|x_i|> times the sign of neurons on <w, x_i> = 0.

    ``rate``: the slowest by case and sign, the outputs being those of the early phase.
    ``share``: the least ratio to mu sum_k |x_k| e^(-y_k f_k) over the active samples
    k, also with outputs of order one.
    """
    rng = np.random.default_rng(root)
    nets = random_networks(parameters, parameters["scale"], rng)
    horizon = _horizons(nets, parameters).min()
    early = [s.values for s in march(nets, np.linspace(0, horizon, 41))][::10]
    large = list(rng.standard_normal(np.shape(early)))
    mu = np.repeat([case[0] for case in parameters["cases"]], parameters["draws"])
    shape = (len(parameters["cases"]), -1, 2)
    rates, shares = [], []
    for values in early + large:
        rate, floor = _on_boundary(nets, values, mu, rng)
        # Signs alternate from neuron to neuron.
        rates.append(rate.min(axis=2).reshape(shape).min(axis=1))
        shares.append((rate / floor).min(axis=2).reshape(shape).min(axis=1))
    return {
        "rate": np.min(rates[: len(early)], axis=0),
        "share": np.min(shares, axis=0),
        "seeds": len(mu),
    }


def _horizons(nets: Networks, parameters) -> np.ndarray:
    """T of Lemma 1 of each run, log(1/(sqrt(h) eps))/(4 n X_max)."""
    growth = math.log(1 / (math.sqrt(parameters["width"]) * parameters["scale"]))
    longest = np.linalg.norm(nets.inputs, axis=2).max(axis=1)
    return growth / (4 * parameters["samples"] * longest)


def _on_boundary(nets: Networks, values, mu, rng):
    """Rates (run, neuron, sample) of fresh neurons on each hyperplane, and floors.

    Dead neurons, which do not move, have an infinite rate over a floor of one.
    """
    norms = np.linalg.norm(nets.inputs, axis=2)
    toward = nets.inputs / norms[:, :, None]
    drawn = rng.standard_normal(nets.hidden.shape)
    along = drawn @ toward.swapaxes(1, 2)
    # (run, neuron, hyperplane, feature)
    w = unit(drawn[:, :, None] - along[..., None] * toward[:, None])
    scores = np.einsum("rjid,rkd->rjik", w, nets.inputs)
    # On the hyperplane by construction, whatever the rounding.
    active = (scores > 0) & ~np.eye(norms.shape[1], dtype=bool)
    residual = np.exp(-nets.labels * values)
    push = np.einsum(
        "rjik,rkd->rjid", active, (nets.labels * residual)[..., None] * nets.inputs
    )
    turn = push - np.einsum("rjid,rjid->rji", push, w)[..., None] * w
    aim = (nets.labels / norms)[..., None] * nets.inputs
    rate = np.einsum("rjid,rid->rji", turn, aim)
    floor = mu[:, None, None] * np.einsum("rjik,rk->rji", active, norms * residual)
    dead = ~active.any(axis=3)
    return np.where(dead, np.inf, rate), np.where(dead, 1.0, floor)


@computation("separable/cones", **_STATED)
def cones(parameters, root):
    """The shortest |x_a| by case and number of active samples, and least cosines.

    Every set of samples is the activation pattern of some neuron, the inputs being
    independent. Cosines are between random vectors of the cone of all y_i x_i, its
    edges included.
    """
    rng = np.random.default_rng(root)
    n = parameters["samples"]
    patterns = (np.arange(1, 2**n)[:, None] >> np.arange(n)) % 2
    count = patterns.sum(axis=1)
    shortest, cosines = [], []
    for case in parameters["cases"]:
        lengths, least = [], []
        for _ in range(parameters["draws"]):
            x, y = separable_data(case, n, parameters["dim"], rng)
            sums = np.linalg.norm(patterns @ (y[:, None] * x), axis=1)
            lengths.append([sums[count == m].min() for m in range(1, n + 1)])
            # Heavy tails: some vectors lie at the edges.
            mix = np.exp(3 * rng.standard_normal((parameters["vectors"], n)))
            rays = unit(np.vstack([np.eye(n), mix]) @ (y[:, None] * x))
            least.append((rays @ rays.T).min())
        shortest.append(np.min(lengths, axis=0))
        cosines.append(min(least))
    return {
        "shortest": np.array(shortest),
        "cosines": np.array(cosines),
        "seeds": parameters["draws"] * len(cosines),
    }


@computation("separable/runs", **_STATED)
def runs(parameters, root):
    """Networks of small scale followed from their random start to ``time``.

    Returns counts of switches, times, losses and norms by (case, draw) from the finest
    of three grids; all three bound the error of the stable rank.
    """
    rng = np.random.default_rng(root)
    nets = random_networks(parameters, parameters["scale"], rng)
    found = [
        _follow(nets, _grid(parameters, factor), parameters) for factor in (1, 3, 9)
    ]
    # Steps across a kink converge irregularly; the largest difference bounds the error.
    error = np.ptp([f["rank"] for f in found], axis=0) + 1e-10
    arrays = {**found[-1], "rank_error": error}
    failed = np.count_nonzero(~np.isfinite(arrays["aligned"] + arrays["fitted"]))
    return {**_by_case(arrays, parameters), "seeds": error.size, "failed": failed}


def _by_case(arrays, parameters) -> dict[str, np.ndarray]:
    """Arrays over runs as arrays over (case, draw)."""
    shape = (len(parameters["cases"]), parameters["draws"])
    return {name: a.reshape(*shape, *a.shape[1:]) for name, a in arrays.items()}


def _grid(parameters, factor: int) -> np.ndarray:
    """Times, four times as far apart once nothing switches any more."""
    step, early = parameters["step"] / factor, parameters["early"]
    end = parameters["time"]
    first = np.linspace(0, early, round(early / step) + 1)
    rest = np.linspace(early, end, round((end - early) / (4 * step)) + 1)
    return np.concatenate([first, rest[1:]])


class _Switches:
    """Counts, per run, of what neurons do to their activation patterns.

    Args:
        nets: the runs.
        horizons: (run,), until when a switch counts as early.
    """

    def __init__(self, nets: Networks, horizons: np.ndarray):
        self._match, self._horizons = nets.matching, horizons
        self._before = None
        runs, width, _ = self._match.shape
        names = "forbidden forbidden_early allowed allowed_early left_own left_other"
        self.counts = {name: np.zeros(runs) for name in (*names.split(), "left_any")}
        self.each = np.zeros((runs, width))
        self.aligned = np.zeros(runs)
        self._promised = np.zeros((runs, width), bool)
        self._own, self._settled = self._promised, np.zeros(runs, bool)

    def see(self, state: State, step: float) -> None:
        """Compare with the pattern before; ``step`` is the time to the next state."""
        now, before = state.active, self._before
        first = before is None
        if first:
            self._promised = (now & self._match).any(axis=2)
        elif (now != before).any():
            self._compare(now, before, state.time <= self._horizons)
        if first or (now != before).any():
            self._own = (now == self._match).all(axis=2)
            self._settled = (self._own | ~now.any(axis=2)).all(axis=1)
        self.aligned = np.where(self._settled, self.aligned, state.time + step)
        self._before = now

    def _compare(self, now, before, early: np.ndarray) -> None:
        switched = now != before
        # Gained and matching, or lost and not.
        allowed = switched & (now == self._match)
        left = switched.any(axis=2)
        own = (before == self._match).all(axis=2) | ~before.any(axis=2)
        other = (before != self._match).all(axis=2)
        seen = {
            "forbidden": (switched & ~allowed).sum(axis=(1, 2)),
            "allowed": allowed.sum(axis=(1, 2)),
            "left_own": (left & own).sum(axis=1),
            "left_other": (left & other).sum(axis=1),
            "left_any": left.sum(axis=1),
        }
        for name, value in seen.items():
            self.counts[name] += value
            if name + "_early" in self.counts:
                self.counts[name + "_early"] += early * value
        self.each += switched.sum(axis=2)

    def summary(self) -> dict[str, np.ndarray]:
        """Counts, the most switches of a neuron, and the time of alignment."""
        # A neuron that starts on a matching sample is to end on all of them.
        there = self._settled & (self._own | ~self._promised).all(axis=1)
        return {
            **self.counts,
            "most": self.each.max(axis=1),
            "aligned": np.where(there, self.aligned, np.nan),
        }


def _follow(nets: Networks, times, parameters) -> dict[str, np.ndarray]:
    switches = _Switches(nets, _horizons(nets, parameters))
    steps = np.diff(times, append=times[-1])
    stride = max(1, len(times) // parameters["saves"])
    fitted = np.full(len(nets.labels), np.inf)
    saved = []
    for k, state in enumerate(march(nets, times)):
        switches.see(state, steps[k])
        fitted = np.where(
            _fits(nets, state.values), np.minimum(fitted, state.time), fitted
        )
        if k % stride == 0 or k == len(times) - 1:
            saved.append((state.time, *_summary(nets, state)))
    time, loss, whole, top, *masses = (np.array(column).T for column in zip(*saved))
    return {
        **switches.summary(),
        "fitted": np.where(np.isfinite(fitted), fitted, np.nan),
        "rank": whole[:, -1] / top[:, -1],
        "whole": whole,
        "top": top,
        "positive": masses[0][:, -1],
        "negative": masses[1][:, -1],
        **_since(time, loss, fitted),
    }


def _fits(nets: Networks, values) -> np.ndarray:
    """Runs whose largest output exceeds 1/4 in both classes."""
    size = np.abs(values)
    sides = [np.where(nets.labels * s > 0, size, 0.0).max(axis=1) for s in (1, -1)]
    return np.minimum(*sides) > _FITTED


def _summary(nets: Networks, state: State):
    """Loss, squared Frobenius and spectral norm, and masses of the two signs."""
    loss = np.exp(-nets.labels * state.values).sum(axis=1)
    squares = (state.hidden**2).sum(axis=2)
    top = np.linalg.eigvalsh(state.hidden.swapaxes(1, 2) @ state.hidden)[:, -1]
    positive = np.where(state.output > 0, squares, 0.0).sum(axis=1)
    return loss, squares.sum(axis=1), top, positive, squares.sum(axis=1) - positive


def _since(times, losses, fitted) -> dict[str, np.ndarray]:
    """Losses from the first saved time at or after ``fitted``, and the time since.

    The entries before are those of that time; without one they are NaN.
    """
    later = times[None, :] >= fitted[:, None]
    first = np.argmax(later, axis=1)
    rows = np.arange(len(losses))
    start = np.where(later.any(axis=1), losses[rows, first], np.nan)
    return {
        "start": start,
        "elapsed": np.where(later, times - times[first][:, None], 0.0),
        "loss": np.where(later, losses, start[:, None]),
    }


@computation("separable/aligned", **_STATED)
def aligned(parameters, root):
    """Networks that start with every neuron in the cone of its sign.

    Returns by (case, draw) losses since both classes are fitted to 1/4, norms, and the
    drift of three matrices relative to |W(0)|_F^2.
    """
    rng = np.random.default_rng(root)
    nets = aligned_networks(parameters, parameters["scale"], rng)
    found = [
        _smooth(Networks(*(part[i : i + 1] for part in nets)), parameters)
        for i in range(len(nets.labels))
    ]
    stacked = {name: np.array([f[name] for f in found]) for name in found[0]}
    failed = np.count_nonzero(~np.isfinite(stacked["start"]))
    return {**_by_case(stacked, parameters), "seeds": len(found), "failed": failed}


def _smooth(net: Networks, parameters) -> dict[str, np.ndarray]:
    """One network by DOP853; nothing switches, so the field is smooth."""
    size, shape = net.hidden.size, net.hidden.shape

    def unpack(state):
        return state[:size].reshape(shape), state[None, size:]

    def field(_, state):
        dw, dv, *_ = velocity(net, *unpack(state))
        return np.concatenate([dw.ravel(), dv[0]])

    times = np.linspace(0, parameters["time"], parameters["saves"])
    run = solve_ivp(
        field,
        (0, parameters["time"]),
        np.concatenate([net.hidden.ravel(), net.output[0]]),
        method="DOP853",
        rtol=parameters["tolerance"],
        atol=parameters["tolerance"] * parameters["scale"],
        t_eval=times,
    )
    fitted, saved, laws = np.inf, [], []
    within = np.outer(net.output[0], net.output[0]) > 0
    for time, column in zip(run.t, run.y.T, strict=True):
        w, v = unpack(column)
        values, active = velocity(net, w, v)[2:]
        state = State(float(time), w, v, values, active)
        if _fits(net, values)[0]:
            fitted = min(fitted, float(time))
        saved.append([part[0] for part in _summary(net, state)])
        gram, outer = w[0] @ w[0].T, np.outer(v[0], v[0])
        laws.append([within * (gram - outer), within * (gram + outer), gram - outer])
    loss, whole, top, *_ = np.array(saved).T
    drift = np.abs(np.array(laws) - laws[0]).max(axis=(0, 2, 3)) / whole[0]
    since = _since(run.t, loss[None], np.array([fitted]))
    return {
        "drift": drift,
        "whole": whole,
        "top": top,
        **{name: array[0] for name, array in since.items()},
    }
