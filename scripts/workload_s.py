"""Workload S: our gradient flow against the PyTorch recipe, one core, equal error.

Ten orthonormal clusters (six positive) of noise 0.1 in 1000 dimensions, 200 rows,
200 neurons, balanced start of scale 1e-7, exponential loss, eight seeds with their
own data and start. Error: relative L2 distance of the predictions on 1000 fresh rows
to a tight float64 flow, worst seed. Time: process CPU time on one pinned core,
rounds interleaved, median; compilation apart.

    python scripts/workload_s.py [--exponents 1 3] [--rounds 5] [--json FILE]
"""

import argparse
import importlib
import json
import os
import statistics
import time
from typing import Any

FINAL_TIME = {1: 200.0, 3: 500.0}
TIGHT = {1: 1e-3, 3: 1e-4}
RATE, BATCH = 0.2, 100
SEEDS = tuple(range(100, 108))


def pin_to_one_core() -> None:
    """Before any library starts its threads."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def seconds(function) -> tuple[float, Any]:
    start = time.process_time()
    value = function()
    return time.process_time() - start, value


def torch_recipe(rows, labels, hidden, output, exponent, final_time):
    """Mini-batch SGD on the mean exponential loss, as the papers train; float32."""
    torch = importlib.import_module("torch")  # in the extra `bench` alone

    rows, labels = torch.tensor(rows), torch.tensor(labels)
    hidden = torch.nn.Parameter(torch.tensor(hidden.T).contiguous())
    output = torch.nn.Parameter(torch.tensor(output)[None])
    optimiser = torch.optim.SGD([hidden, output], lr=RATE)
    generator = torch.Generator().manual_seed(0)
    remaining = round(final_time / RATE)
    while remaining > 0:
        order = torch.randperm(len(rows), generator=generator)
        for batch in order.split(BATCH)[:remaining]:
            scores = torch.relu(rows[batch] @ hidden)
            if exponent != 1:
                norms = torch.linalg.norm(hidden, dim=0)
                scores = torch.pow(scores, exponent) / torch.pow(norms, exponent - 1)
            outputs = (scores @ output.t())[:, 0]
            loss = torch.exp(-labels[batch] * outputs).mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            remaining -= 1
    return hidden.detach().numpy().T, output.detach().numpy()[0]


def measure(exponent: int, rounds: int) -> dict:
    import jax
    import jax.numpy as jnp
    import numpy as np

    import jaxbias as jb
    from jaxbias.dynamics import Adaptive, solve
    from jaxbias.networks.weights import predict

    clusters = jb.data.OrthonormalClusters(
        dim=1000, clusters=10, positive=6, noise=0.1, sizes="random"
    )
    activation = jb.networks.ReLU() if exponent == 1 else jb.networks.PReLU(exponent)
    network = jb.networks.TwoLayer(200, activation, jb.networks.balanced(1e-7))
    flow = jb.dynamics.GradientFlow(network, clusters, 200)
    end = FINAL_TIME[exponent]

    def problems(dtype):
        drawn = [flow.problem(jax.random.key(s), dtype=dtype) for s in SEEDS]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)

    def trained(integrator):
        def one(problem):
            run = solve(problem, [end], {}, integrator)
            return run.final, run.status, run.statistics["evaluations"]

        return jax.jit(lambda batch: jax.lax.map(one, batch))

    fresh = [
        clusters.sample(1000, key=jax.random.key(10_000 + s), dtype="float64").inputs
        for s in SEEDS
    ]

    def predictions(hidden, output):
        values = []
        for rows, w, v in zip(fresh, hidden, output, strict=True):
            w, v = jnp.asarray(w, "float64"), jnp.asarray(v, "float64")
            weights = jb.networks.Weights(w, v, None, None, jnp.ones(len(v), bool))
            values.append(np.asarray(predict(weights, activation, rows)))
        return np.stack(values)

    tight, status, _ = trained(Adaptive(TIGHT[exponent]))(problems("float64"))
    assert not np.any(status)
    exact = predictions(tight.hidden, tight.output)

    def worst_error(hidden, output):
        gap = np.linalg.norm(predictions(hidden, output) - exact, axis=1)
        return float(np.max(gap / np.linalg.norm(exact, axis=1)))

    batch = problems("float32")
    compile_seconds, ours = seconds(lambda: trained(Adaptive()).lower(batch).compile())
    rows, labels, hidden, output = (
        np.asarray(a)
        for a in (
            batch.dataset.inputs,
            batch.dataset.labels,
            batch.initial.hidden,
            batch.initial.output,
        )
    )

    def recipe():
        runs = zip(rows, labels, hidden, output, strict=True)
        return [torch_recipe(*run, exponent, end) for run in runs]

    jax.block_until_ready(ours(batch))
    our_seconds, torch_seconds = [], []
    for _ in range(rounds):
        spent, (final, status, evaluations) = seconds(
            lambda: jax.block_until_ready(ours(batch))
        )
        our_seconds.append(spent)
        spent, weights = seconds(recipe)
        torch_seconds.append(spent)
    assert not np.any(status)
    ratios = [b / a for a, b in zip(our_seconds, torch_seconds, strict=True)]
    return {
        "name": f"S-p{exponent}",
        "baseline": "torch",
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "error": worst_error(final.hidden, final.output),
        "baseline_error": worst_error(*map(np.stack, zip(*weights, strict=True))),
        "seconds": statistics.median(our_seconds),
        "baseline_seconds": statistics.median(torch_seconds),
        "compile_seconds": compile_seconds,
        "evaluations": float(np.mean(evaluations)),
        "status": "finished",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--exponents", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    pin_to_one_core()
    import jax

    torch = importlib.import_module("torch")
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    rows = [measure(p, arguments.rounds) for p in arguments.exponents]
    for row in rows:
        print(
            f"{row['name']}: {row['ratio']:.0f}x over the PyTorch recipe "
            f"[{row['ratio_low']:.0f}, {row['ratio_high']:.0f}]; "
            f"{row['seconds']:.3f} s against {row['baseline_seconds']:.1f} s; "
            f"error {row['error']:.1e} against {row['baseline_error']:.1e}; "
            f"{row['evaluations']:.0f} evaluations; "
            f"compiled in {row['compile_seconds']:.1f} s"
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
