"""Random small flows at the default tolerance: which do not finish, and why.

Degree, trained or frozen output layer, numbers of rows and inputs, loss and form vary;
rows are Gaussian of norm 1 with random labels, so that nothing is orthogonal. A flow
counts if it reaches t = 100 (of the mean clock) within 2,000 attempted steps.

    python scripts/stalls.py [--seeds 7] [--out figures/benchmarks/stalls.md]
"""

import argparse
import itertools
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxbias as jb
from jaxbias import losses
from jaxbias.data import from_arrays
from jaxbias.dynamics import Adaptive, GradientFlow, Status, solve

DEGREES = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
SHAPES = ((1, 1), (4, 2), (12, 5))
LOSSES = (losses.exponential, losses.squared, losses.logistic)
SCALES = (1e-6, 1e-3, 0.3)
BUDGET, HORIZON, WIDTH = 2000, 100.0, 6
HEAD = (
    "# Stalls",
    "",
    "Random small flows at the default tolerance to t = 100, at most 2,000 attempted",
    "steps (`scripts/stalls.py`). MAX_STEPS is a flow that needs more of them and says",
    "no other reason.",
    "",
)


def activation(degree: float):
    """ReLU or pReLU of this degree."""
    return jb.networks.ReLU() if degree == 1 else jb.networks.PReLU(degree)


def flow(
    degree: float, rows: int, dim: int, output: str, loss, scale: float, seed: int
):
    """A flow on Gaussian rows of norm 1, with random labels."""
    rng = np.random.default_rng([seed, rows, dim])
    inputs = rng.normal(size=(rows, dim))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    labels = rng.choice([-1.0, 1.0], size=rows)
    network = jb.networks.TwoLayer(
        WIDTH, activation(degree), jb.networks.balanced(scale), output=output
    )
    return GradientFlow(network, from_arrays(inputs, labels), loss=loss)


def run(degree, shape: tuple[int, int], output, form, loss, seeds, budget=BUDGET):
    """Status and steps of one combination, over seeds and scales."""
    rows, dim = shape
    problems = []
    for seed in range(seeds):
        one = flow(degree, rows, dim, output, loss, SCALES[seed % len(SCALES)], seed)
        problems.append(one.problem(jax.random.key(seed), dtype="float64"))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    integrator = Adaptive(max_steps=budget)

    @jax.jit
    def all_of_them(problems):
        def one(problem):
            done = solve(problem, [HORIZON], {}, integrator, form)
            steps = done.statistics["accepted"] + done.statistics["rejected"]
            return done.status, steps

        return jax.lax.map(one, problems)

    return jax.tree.map(np.asarray, all_of_them(stacked))


def main() -> None:
    """Run them all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    ends, steps, lines = Counter(), [], []
    cases = itertools.product(
        DEGREES, SHAPES, ("trained", "frozen"), ("reduced", "raw")
    )
    for number, (degree, shape, output, form) in enumerate(cases):
        loss = LOSSES[number % len(LOSSES)]
        status, taken = run(degree, shape, output, form, loss, options.seeds)
        ends.update(Status(int(s)).name for s in status)
        steps.extend(taken.tolist())
        for seed in np.flatnonzero(status != Status.FINISHED):
            what = f"p={degree:g} {output} {shape} {form} {loss.name} seed {seed}"
            lines.append(f"{what}: {Status(int(status[seed])).name}, {taken[seed]}")
            print(lines[-1], flush=True)
    steps = np.asarray(steps)
    words = (
        f"{len(steps)} flows, {dict(ends)}; steps: median {np.median(steps):.0f},"
        f" 99 % {np.quantile(steps, 0.99):.0f}, most {steps.max()}"
    )
    print(words)
    if options.out is not None:
        listed = [f"* {line}" for line in lines]
        options.out.write_text("\n".join([*HEAD, words, "", *listed, ""]))


if __name__ == "__main__":
    main()
