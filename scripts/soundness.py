"""Certified radii of random networks against a search: nothing may be broken below.

Plane networks of twelve neurons: the nearest broken point on a dense fan of rays (the
axes, the neurons, the origin and the witness among them), the best bisected. In more
dimensions: SLSQP from many starts. A fan of finitely many rays lies above the true
radius, so `lower <= truth` must hold in every case; that the truth is at most `upper`
is shown by the witness, put through a forward pass written here again. Decoys, lower
ends raised by 2 %, show what the search would notice.

    python scripts/soundness.py bounds
"""

import argparse
import functools
import time
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from scipy import optimize  # noqa: E402

from jaxbias.networks.activations import PReLU, ReLU  # noqa: E402
from jaxbias.networks.weights import Weights  # noqa: E402
from jaxbias.robustness import Budget, radius, radius_batch  # noqa: E402

EXPONENTS, ORDERS = (1.0, 1.5, 2.0, 3.0, 4.0), (2.0, np.inf)
KINDS = (
    "generic",
    "duplicates",
    "near duplicates",
    "dead zones",
    "one class",
    "biases",
    "tiny amplitudes",
)
SETTINGS = [(p, q) for p in EXPONENTS for q in ORDERS]
CASES = {"bounds": 200_000, "exact": 2_000, "space": 500}
RUNS, WIDTH, POINTS = 32, 12, 25
ANGLES, STEPS, HALVINGS, BISECTED = 720, 30, 30, 120
DECOY = 1.02
# A forward pass in another order of summation; relative to the sum of all terms.
ROUNDING = 1e-12


def networks(rng, kind, dim, runs):
    """Hidden, output, hidden bias, output bias; the last two may be zeros."""
    hidden = rng.normal(size=(runs, WIDTH, dim))
    output = rng.normal(size=(runs, WIDTH))
    bias, constant = np.zeros((runs, WIDTH)), np.zeros(runs)
    half = WIDTH // 2
    if kind == "duplicates":
        stretch = np.exp(rng.normal(size=(runs, half, 1)))
        hidden[:, half:] = hidden[:, :half] * stretch
    elif kind == "near duplicates":
        size = 10.0 ** rng.uniform(-9, -2, size=(runs, 1, 1))
        hidden[:, half:] = hidden[:, :half]
        hidden[:, half:] += size * rng.normal(size=(runs, half, dim))
        output[:, half:] = np.abs(output[:, half:]) * np.sign(output[:, :half])
    elif kind == "dead zones":
        hidden = np.abs(hidden)
    elif kind == "one class":
        output = np.abs(output) * rng.choice([-1.0, 1.0], size=(runs, 1))
    elif kind == "biases":
        bias, constant = 0.4 * rng.normal(size=bias.shape), 0.3 * rng.normal(size=runs)
    elif kind == "tiny amplitudes":
        output[:, half:] *= 10.0 ** rng.uniform(-14, -2, size=(runs, half))
    return hidden, output, bias, constant


def activation_of(exponent):
    """ReLU, or pReLU of that exponent."""
    return ReLU() if exponent == 1 else PReLU(exponent)


def weights_of(arrays):
    """Weights with a leading run axis; biases only where there are some."""
    hidden, output, bias, constant = arrays
    biased = bool(np.any(bias) or np.any(constant))
    make = lambda w, v, b, c: Weights(
        w, v, b if biased else None, c if biased else None, jnp.ones(len(v), bool)
    )
    return jax.vmap(make)(*map(jnp.asarray, (hidden, output, bias, constant)))


def forward(arrays, exponent, points, xp=np):
    """Outputs (..., point) of networks (...), written out again."""
    hidden, output, bias, constant = arrays
    scores = xp.matmul(points, xp.swapaxes(hidden, -1, -2)) + bias[..., None, :]
    norms = xp.sqrt((hidden**2).sum(-1) + bias**2)
    active = xp.maximum(scores, 0.0)
    raised = active ** int(exponent)
    if exponent % 1:
        raised = raised * xp.sqrt(active)
    raised = raised * (norms ** (1 - exponent))[..., None, :]
    return xp.matmul(raised, output[..., None])[..., 0] + constant[..., None]


def largest_terms(arrays, exponent, points):
    """The sum of all terms without their signs: the scale of rounding."""
    hidden, output, bias, constant = arrays
    magnitudes = hidden, np.abs(output), bias, np.abs(constant)
    return forward(magnitudes, exponent, points)


def points_of(rng, arrays, exponent):
    """Points, the first few special: the origin, the boundary, a wrong label."""
    runs, dim = len(arrays[0]), arrays[0].shape[2]
    points = rng.normal(size=(runs, POINTS, dim))
    points[:, 0] = 0.0
    # Bisection from point 1 to point 2: a point on the boundary up to rounding.
    low, high = points[:, 1].copy(), points[:, 2].copy()
    for _ in range(60):
        middle = (low + high) / 2
        three = np.stack([low, middle, high], 1)
        signs = np.sign(forward(arrays, exponent, three))
        same = (signs[:, 0] == signs[:, 1])[:, None]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    points[:, 1] = low
    labels = np.where(forward(arrays, exponent, points) > 0, 1.0, -1.0)
    labels[:, 3] *= -1
    return points, labels


@functools.partial(jax.jit, static_argnames=("exponent", "order"))
def nearest_broken(arrays, exponent, order, points, labels, reach, witness):
    """Distances (run, point) to the nearest broken point on the rays, or infinity."""
    size = lambda rays: (
        jnp.max(jnp.abs(rays), -1)
        if np.isinf(order)
        else jnp.linalg.norm(rays, axis=-1)
    )
    angle = jnp.arange(ANGLES) * (2 * np.pi / ANGLES)
    fan = jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
    corners = jnp.asarray([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])

    def one(job):
        net, x, y, far, aim = job
        own = jnp.concatenate([fan, corners, net[0], -net[0], -x[None], aim[None] - x])
        length = size(own)[:, None]
        rays = jnp.where(length > 0, own / jnp.where(length > 0, length, 1.0), 0.0)
        wrong = lambda share: (
            y * forward(net, exponent, x[None] + (far * share)[:, None] * rays, jnp)
            <= 0
        )
        shares = jnp.arange(1, STEPS + 1) / STEPS
        table = jax.vmap(lambda s: wrong(jnp.full(len(rays), s)))(shares)
        found = jnp.any(table, 0) & (length[:, 0] > 0)
        high = jnp.where(found, shares[jnp.argmax(table, 0)], 2.0)
        # The nearest is on one of the rays that are broken within the fewest steps.
        best = jnp.argsort(high)[:BISECTED]
        rays, high, found = rays[best], high[best], found[best]

        def halve(_, ends):
            low, high = ends
            middle = (low + high) / 2
            is_wrong = wrong(middle)
            low = jnp.where(is_wrong, low, middle)
            return low, jnp.where(is_wrong, middle, high)

        low, high = jax.lax.fori_loop(0, HALVINGS, halve, (high - 1 / STEPS, high))
        return jnp.min(jnp.where(found, high * far, jnp.inf))

    def run(job):
        net, x, y, far, aim = job
        many = lambda point: one((net, *point))
        return jax.lax.map(many, (x, y, far, aim), batch_size=5)

    return jax.lax.map(run, (arrays, points, labels, reach, witness))


def by_slsqp(rng, arrays, exponent, order, x, y, reach, starts=12):
    """The shortest broken step that SLSQP finds from random starts."""
    hidden, output, bias, constant = arrays
    dim = len(x)
    rows = np.sqrt((hidden**2).sum(1) + bias**2) ** (1 - exponent)

    def margin(step):
        active = np.maximum(hidden @ (x + step[:dim]) + bias, 0)
        return -y * (output * rows @ active**exponent + constant)

    def slope(step):
        active = np.maximum(hidden @ (x + step[:dim]) + bias, 0)
        inner = exponent * np.where(active > 0, active ** (exponent - 1), 0.0)
        out = np.zeros(len(step))
        out[:dim] = -y * (output * rows * inner) @ hidden
        return out

    best = np.inf
    for _ in range(starts):
        start = rng.normal(size=dim)
        start *= reach * rng.uniform(0.3, 1.5) / np.linalg.norm(start)
        limits = [{"type": "ineq", "fun": margin, "jac": slope}]
        if np.isinf(order):
            both = np.vstack([np.eye(dim), -np.eye(dim)])
            both = np.hstack([-both, np.ones((2 * dim, 1))])
            limits += [{"type": "ineq", "fun": both.dot, "jac": lambda _, m=both: m}]
            start = np.append(start, np.abs(start).max())
            last = np.eye(dim + 1)[-1]
            goal, jac = (lambda s: s[-1]), (lambda _, last=last: last)
        else:
            goal, jac = (lambda s: s @ s), (lambda s: 2 * s)
        found = optimize.minimize(
            goal, start, jac=jac, constraints=limits, method="SLSQP",
            options={"maxiter": 200, "ftol": 1e-12},
        )  # fmt: skip
        step = found.x[:dim]
        for longer in (1.0, 1 + 1e-9, 1 + 1e-6):
            if np.all(np.isfinite(step)) and margin(longer * step) >= 0:
                best = min(best, longer * np.linalg.norm(step, order))
                break
    return best


class Tally:
    """Counts of one exponent and norm, or of all."""

    def __init__(self):
        self.cases = self.clean = self.nothing = self.gap = self.noticed = 0
        self.below, self.witness = [], []
        self.tightness, self.coarse = [], []

    def take(self, found, truth, margins, scale, distance, decoyed, where):
        """One batch of radii, the truth and the witnesses' margins and distances."""
        clean = found.status == "broken when clean"
        nothing = np.isinf(found.upper)
        self.cases += clean.size
        self.clean += int(clean.sum())
        self.nothing += int(nothing.sum())
        self.gap += int(np.sum(found.status == "gap"))
        self.below += [(*where, *i) for i in np.argwhere(found.lower > truth)]
        bad = ~nothing & ((margins > ROUNDING * scale) | (distance > found.upper))
        self.witness += [(*where, *i) for i in np.argwhere(bad)]
        self.noticed += int(np.sum((DECOY * found.lower > truth) & decoyed))
        # On the boundary both ends are rounding, and their ratio says nothing.
        open_ = ~clean & np.isfinite(truth) & (truth > 1e-6)
        self.tightness += list((found.lower / np.where(open_, truth, 1))[open_])
        both = open_ & ~nothing
        self.coarse += list((found.upper / np.where(both, truth, 1))[both])

    def row(self, name):
        """One row of the table."""
        low = high = "-"
        if self.tightness:
            low = f"{np.median(self.tightness):.3f} ({min(self.tightness):.2f})"
        if self.coarse:
            high = f"{np.quantile(self.coarse, 0.99):.4f} ({max(self.coarse):.3f})"
        return (
            f"| {name} | {self.cases} | {len(self.below)} | {len(self.witness)} "
            f"| {self.clean} | {self.nothing} | {low} | {high} "
            f"| {self.noticed} | {self.gap} |"
        )


HEAD = (
    "| p, norm | cases | lower > truth | witness fails | broken when clean "
    "| no witness | lower/truth median (least) | upper/truth 99 % (largest) "
    "| decoys noticed | budget stops |\n|---|---|---|---|---|---|---|---|---|---|"
)


def measure(tally, rng, kind, exponent, order, effort, runs, tell, points=POINTS):
    """One batch of plane networks."""
    arrays = networks(rng, kind, 2, runs)
    x, y = (a[:, :points] for a in points_of(rng, arrays, exponent))
    found = radius_batch(
        weights_of(arrays), activation_of(exponent), x, y, order=order, effort=effort,
        budget=Budget(nodes=2000, gap=1e-4, seconds=30),
    )  # fmt: skip
    sizes = np.linalg.norm(x, axis=-1) + 1e-3
    reach = np.where(np.isfinite(found.upper), 1.02 * found.upper, 30.0)
    reach = np.maximum(np.minimum(reach, 30 * (1 + sizes)), 1e-9)
    truth = np.asarray(
        nearest_broken(arrays, exponent, float(order), x, y, reach, found.witness)
    )
    at_clean = y * forward(arrays, exponent, x) <= 0
    truth = np.where(at_clean, 0.0, truth)
    margins = y * forward(arrays, exponent, found.witness)
    scale = largest_terms(arrays, exponent, found.witness)
    distance = np.linalg.norm(found.witness - x, ord=order, axis=-1)
    decoyed = found.lower > 0
    tally.take(found, truth, margins, scale, distance, decoyed, (kind, exponent, order))
    tell(tally)


def measure_space(tally, rng, exponent, order, runs, points):
    """Networks in 3 to 8 dimensions: exact radii against SLSQP; its wins and losses."""
    beaten, missed = 0, 0
    for _ in range(runs):
        dim = int(rng.integers(3, 9))
        kind = str(rng.choice(KINDS[:3] + KINDS[5:6]))
        arrays = networks(rng, kind, dim, 1)
        x = rng.normal(size=(1, points, dim))
        y = np.where(forward(arrays, exponent, x) > 0, 1.0, -1.0)
        single = jax.tree.map(lambda a: a[0], weights_of(arrays))
        found = radius(
            single, x[0], y[0], activation=activation_of(exponent), order=order,
            effort="exact", budget=Budget(nodes=4000, gap=1e-3, seconds=12),
        )  # fmt: skip
        net = tuple(a[0] for a in arrays)
        reach = np.where(np.isfinite(found.upper), found.upper, 3.0)
        truth = np.array(
            [
                by_slsqp(rng, net, exponent, order, *job)
                for job in zip(x[0], y[0], reach, strict=True)
            ]
        )
        margins = y[0] * forward(net, exponent, found.witness)
        scale = largest_terms(net, exponent, found.witness)
        distance = np.linalg.norm(found.witness - x[0], ord=order, axis=-1)
        decoyed = found.lower > 0
        where = (kind, exponent, order, dim)
        tally.take(found, truth, margins, scale, distance, decoyed, where)
        closed = found.status == "exact"
        beaten += int(np.sum(closed & (truth < found.upper * (1 - 1.1e-3))))
        missed += int(np.sum(closed & (truth > found.upper * (1 + 1e-3))))
    return beaten, missed


def table(tallies, out):
    """Write one row a setting and one for all, which is returned."""
    total = Tally()
    lines = [HEAD]
    for (p, q), tally in tallies.items():
        lines.append(tally.row(f"{p:g}, {'l_inf' if np.isinf(q) else 'l_2'}"))
        for name in vars(total):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    lines.append(total.row("all"))
    for name in ("below", "witness"):
        lines += [f"- {name}: {case}" for case in getattr(total, name)[:20]]
    out.write("\n".join(lines) + "\n")
    return total


def in_the_plane(seed, cases, effort, runs, tell):
    """Tables of one effort, `cases` in all."""
    tallies = {setting: Tally() for setting in SETTINGS}
    for number, (p, q) in enumerate(SETTINGS):
        rng = np.random.default_rng([seed, number, len(effort)])
        tally, kind = tallies[p, q], 0
        each = cases / len(SETTINGS)
        while tally.cases < each:
            few = min(runs, max(1, round(each / POINTS / len(KINDS))))
            measure(tally, rng, KINDS[kind % len(KINDS)], p, q, effort, few, tell)
            kind += 1
    return tallies


def in_space(seed, cases, tell):
    """Tables of exact radii against SLSQP; how often it was shorter, and longer."""
    tallies = {setting: Tally() for setting in SETTINGS}
    wins = np.zeros(2, int)
    for number, (p, q) in enumerate(SETTINGS):
        rng = np.random.default_rng([seed, number, 99])
        runs = -(-cases // (5 * len(SETTINGS)))
        wins += measure_space(tallies[p, q], rng, p, q, runs, 5)
        tell(tallies[p, q])
    return tallies, wins


def main():
    """Run one part, write its log, and say with the status whether all held."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("part", choices=CASES)
    asked.add_argument("--cases", type=int, help=f"by default {CASES}")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--out", type=Path, default=Path("figures/radii"))
    given = asked.parse_args()
    cases = given.cases or CASES[given.part]
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"soundness_{given.part}.md"
    start = time.monotonic()
    tell = lambda tally: print(
        f"{time.monotonic() - start:6.0f} s {tally.cases} cases", flush=True
    )
    wins, remark = np.zeros(2, int), ""
    if given.part == "space":
        title = "Exact radii in 3 to 8 dimensions, against SLSQP from 12 starts"
        tallies, wins = in_space(given.seed, cases, tell)
        remark = (
            f"Of the radii called exact, SLSQP found a shorter step {wins[0]} times "
            f"and only longer ones {wins[1]} times.\n"
        )
    else:
        title = f"Effort {given.part} in the plane, against a fan of rays"
        runs = RUNS if given.part == "bounds" else len(KINDS)
        tallies = in_the_plane(given.seed, cases, given.part, runs, tell)
    with path.open("w") as out:
        out.write(f"# Soundness of certified radii\n\n{title}.\n")
        out.write(f"Written by `scripts/soundness.py`, seed {given.seed}.\n\n")
        total = table(tallies, out)
        failures = len(total.below) + len(total.witness)
        minutes = (time.monotonic() - start) / 60
        out.write(f"\n{remark}{total.cases} cases, {failures} failures, ")
        out.write(f"{minutes:.0f} minutes.\n")
    print(path.read_text())
    return 1 if failures or wins[0] else 0


if __name__ == "__main__":
    raise SystemExit(main())
