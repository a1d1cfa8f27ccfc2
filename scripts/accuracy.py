"""What accuracy costs: errors of every saved observable against evaluations and time.

Each setting of the adaptive integrator is held against the finest of three references,
at a ninth of the default tolerance, a third of that and a ninth of that, at every saved
time; what these do not agree on to .2 % is left out, and its share is stated; so is a
seed whose reference does not finish, and "finished" says how many of the seeds that are
judged did. Two references are not enough at p = 1: a neuron that grazes a kink may go
one way in both and the other way in the third. At p = 1 values of single neurons are
averaged over the neurons of a sign: which of two equal neurons wins is not for any
integrator to say. Errors are in units of each observable's scale, worst of all seeds.

Two observables are step functions of the state that no tolerance gets right at the step
itself: a neuron moves its whole weight from one cluster amplitude to another when two
cosines are equal, and counts as dead when its largest score is 0. Neurons that are, by
the reference, within 1e-3 of such a step in cosine may be on either side; "at ties" is
the worst error of the two where they may not.

    python scripts/accuracy.py --out figures/benchmarks/accuracy.md
"""

import argparse
import itertools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxbias as jb
from jaxbias import losses
from jaxbias._axes import CLUSTER, NEURON
from jaxbias.data import OrthonormalClusters
from jaxbias.dynamics import Adaptive, GradientFlow, Status, solve
from jaxbias.observables import REGISTRY, relative_error

DEGREES = (1.0, 1.5, 2.0, 3.0, 4.0)
LOSSES = (losses.exponential, losses.squared, losses.logistic)
FORMS = ("reduced", "raw")
OBSERVE = (
    "loss",
    "margins",
    "minimum_margin",
    "amplitudes",
    "contributions",
    "cluster_amplitudes",
    "centre_cosines",
    "class_cosines",
    "weight_stable_rank",
    "dead_fraction",
    "near_kink",
    "balance_error",
)
#: Name in the table, multiple of the default tolerance, accuracy.
SETTINGS = (
    ("final outputs", 1.0, "final outputs"),
    ("default x 10", 10.0, "every time"),
    ("default x 3", 3.0, "every time"),
    ("default", 1.0, "every time"),
    ("default / 3", 1 / 3, "every time"),
)
AGREEMENT = 2e-3
#: A neuron this close to a step of a step function, in cosine, is on neither side.
TIE = 1e-3
STEPS = ("cluster_amplitudes", "dead_fraction")
_BUDGET = 200_000
SIZES = {
    # name: (dim, clusters, positive, width, samples, scale, horizon)
    "small": (60, 6, 3, 30, 60, 1e-5, 200.0),
    "readme": (200, 10, 6, 100, 200, 1e-7, 500.0),
}


def flow(degree: float, loss, size: str) -> GradientFlow:
    """The README's problem, or a smaller one of its kind."""
    dim, clusters, positive, width, samples, scale, _ = SIZES[size]
    data = jb.data.OrthonormalClusters(dim, clusters, positive, noise=0.1)
    unit = jb.networks.ReLU() if degree == 1 else jb.networks.PReLU(degree)
    network = jb.networks.TwoLayer(width, unit, jb.networks.balanced(scale))
    return GradientFlow(network, data, samples, loss, "per_cluster_mean")


def compiled(given: GradientFlow, times, form: str, accuracy: str):
    """A function of (seed, rtol): observables and their sizes along a run."""
    observe = {name: REGISTRY[name].function for name in OBSERVE}
    observe |= {f"size {name}": REGISTRY[name].size for name in OBSERVE}
    observe["votes"] = lambda snapshot: jnp.sign(snapshot.output)
    observe["range cluster_amplitudes"] = amplitude_range
    observe["range dead_fraction"] = dead_range

    @jax.jit
    def run(seed, rtol):
        problem = given.problem(jax.random.key(seed), dtype="float64")
        integrator = Adaptive(rtol, _BUDGET, accuracy)
        done = solve(problem, times, observe, integrator, form)
        return done.observables, done.statistics, done.status

    return run


def amplitude_range(snapshot):
    """Least and largest cluster amplitudes, neurons at a tie on either side."""
    cosines = REGISTRY["centre_cosines"].function(snapshot)
    near = cosines >= jnp.max(cosines, axis=0) - TIE
    agrees = snapshot.output[None, :] * jnp.asarray(snapshot.centre_labels)[:, None] > 0
    sole = jnp.sum(near, axis=0) == 1
    sides = jnp.stack([near & agrees & sole, near & agrees])
    return sides.astype(cosines.dtype) @ snapshot.contributions()


def dead_range(snapshot):
    """Least and largest share of dead neurons, those at a tie on either side."""
    lengths = jnp.linalg.norm(snapshot.inputs, axis=1)[:, None]
    reach = jnp.where(snapshot.norms > 0, snapshot.norms, 1.0)[None, :] * lengths
    largest = jnp.max(snapshot.scores / reach, axis=0)
    sides = jnp.stack([largest <= -TIE, largest <= TIE])
    real = snapshot.mask[None, :]
    return jnp.sum(sides & real, axis=1) / jnp.sum(real)


def summed(values, name: str, votes, labels):
    """Values of single neurons, and of clusters they belong to, summed over a sign."""
    axes = REGISTRY[name].axes
    if NEURON in axes:
        member = np.stack([votes > 0, votes < 0]).astype(float)
        member /= np.maximum(member.sum(axis=1, keepdims=True), 1.0)
        if name == "contributions":
            member *= (votes != 0).sum()
        return np.moveaxis(values, 1 + axes.index(NEURON), -1) @ member.T
    if CLUSTER in axes:
        return values @ np.stack([labels > 0, labels < 0]).T.astype(float)
    return values


def crossing(times, loss) -> float:
    """When the loss first falls to half of what it was, linear in its logarithm."""
    after = int(np.argmax(loss <= 0.5 * loss[0]))
    if after == 0:
        return np.nan
    high, low = np.log(loss[after - 1]), np.log(loss[after])
    share = (high - np.log(0.5 * loss[0])) / (high - low)
    return times[after - 1] + share * (times[after] - times[after - 1])


def errors(
    found, tight, degree: float, labels, *, ties: bool = True
) -> dict[str, np.ndarray]:
    """Relative error of each observable at each time; ``ties`` may fall either way."""
    out = {}
    for name in OBSERVE:
        values, exact = np.asarray(found[name]), np.asarray(tight[name])
        sizes = np.asarray(tight[f"size {name}"])
        if degree == 1:
            votes = np.asarray(tight["votes"])[-1]
            values = summed(values, name, votes, labels)
            exact = summed(exact, name, votes, labels)
        if ties and name in STEPS and (degree > 1 or name != "cluster_amplitudes"):
            low, high = np.moveaxis(np.asarray(tight[f"range {name}"]), 1, 0)
            exact = np.clip(values, low, high)
        out[name] = relative_error(values, exact, sizes)
    return out


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--degrees", type=float, nargs="*", default=DEGREES)
    parser.add_argument("--losses", nargs="*", default=[x.name for x in LOSSES])
    parser.add_argument("--forms", nargs="*", default=FORMS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    times = tuple(jb.times.logarithmic(SIZES[options.size][-1], count=60).tolist())
    short = {name: name.replace("_", " ") for name in OBSERVE}
    head = [
        "p",
        "loss",
        "form",
        "setting",
        "finished",
        "evaluations",
        "ms",
        "half-fit time",
    ]
    head += [*short.values(), "at ties", "estimate / true", "unjudged"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)
        if options.out is not None:
            options.out.write_text(
                "\n".join([(__doc__ or "").split("\n\n    ")[0], "", *lines])
            )

    print("\n".join(lines))
    for form in options.forms:
        for degree, name in itertools.product(options.degrees, options.losses):
            given = flow(degree, losses.named(name), options.size)
            assert isinstance(given.data, OrthonormalClusters)
            labels = np.asarray(given.data.labels)
            for row in measure(given, times, form, options.seeds, degree, labels):
                say(f"| {degree:g} | {name} | {form} | " + " | ".join(row) + " |")


def measure(given, times, form, seeds, degree, labels):
    """One row a setting."""
    programs = {a: compiled(given, times, form, a) for a in {s[2] for s in SETTINGS}}
    worst = {name: dict.fromkeys(OBSERVE, 0.0) for name, _, _ in SETTINGS}
    late = dict.fromkeys(worst, 0.0)
    evaluations = {name: [] for name in worst}
    ratios = {name: [] for name in worst}
    at_ties = dict.fromkeys(worst, 0.0)
    seconds = dict.fromkeys(worst, 0.0)
    unfinished = dict.fromkeys(worst, 0)
    left_out, judged_seeds = [], 0
    tolerance = Adaptive().tolerance(degree, given.loss)
    for seed in range(seeds):
        exact = programs["every time"]
        others = [exact(seed, tolerance / share)[0] for share in (9, 27)]
        tight, _, status = exact(seed, tolerance / 81)
        if int(status) != Status.FINISHED:
            print(f"reference of seed {seed}: {Status(int(status)).name}", flush=True)
            continue
        judged_seeds += 1
        apart = [errors(other, tight, degree, labels) for other in others]
        agree = {
            name: np.maximum(*(error[name] for error in apart)) <= AGREEMENT
            for name in OBSERVE
        }
        left_out.append(np.mean([~judged for judged in agree.values()]))
        half = crossing(times, np.asarray(tight["loss"]))
        for name, factor, accuracy in SETTINGS:
            rtol = factor * Adaptive(accuracy=accuracy).tolerance(degree, given.loss)
            if judged_seeds == 1:
                jax.block_until_ready(programs[accuracy](seed, rtol))
            started = time.process_time()
            found, statistics, status = programs[accuracy](seed, rtol)
            jax.block_until_ready(found)
            seconds[name] += time.process_time() - started
            unfinished[name] += int(status) != Status.FINISHED
            if int(status) != Status.FINISHED:
                continue
            error = errors(found, tight, degree, labels)
            for observable in OBSERVE:
                judged = np.where(agree[observable], error[observable], 0.0)
                worst[name][observable] = max(worst[name][observable], judged.max())
            strict = errors(found, tight, degree, labels, ties=False)
            for observable in STEPS:
                judged = np.where(agree[observable], strict[observable], 0.0)
                at_ties[name] = max(at_ties[name], judged.max())
            met = crossing(times, np.asarray(found["loss"]))
            if np.isfinite(half):
                late[name] = max(late[name], abs(met / half - 1))
            evaluations[name].append(float(statistics["evaluations"]))
            true = max(
                np.max(np.where(agree[o], error[o], 0.0))
                for o in ("loss", "margins", "amplitudes")
            )
            ratios[name].append(float(statistics["error_estimate"]) / max(true, 1e-12))
    if not judged_seeds:
        return
    for name in worst:
        low, high = np.min(ratios[name]), np.max(ratios[name])
        yield [
            name,
            f"{judged_seeds - unfinished[name]} of {judged_seeds}",
            f"{np.median(evaluations[name]):.0f}",
            f"{1e3 * seconds[name] / judged_seeds:.0f}",
            f"{100 * late[name]:.3f} %",
            *(f"{100 * error:.2f} %" for error in worst[name].values()),
            f"{100 * at_ties[name]:.2f} %",
            f"{low:.1f} to {high:.1f}",
            f"{100 * np.mean(left_out):.1f} %",
        ]


if __name__ == "__main__":
    main()
