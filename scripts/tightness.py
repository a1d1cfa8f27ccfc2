"""How far apart the ends of certified radii are, where they can be told from the truth.

Orthonormal clusters with noise, random plane networks against a dense search, a trained
network of width 2000, and MNIST networks (with JAXBIAS_DATA set). One line a setting.

    python scripts/tightness.py --out figures/radii/tightness.md
"""

import argparse
import os
import sys
import time
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import soundness as search  # noqa: E402

import jaxbias as jb  # noqa: E402
from jaxbias.data import OrthonormalClusters  # noqa: E402
from jaxbias.networks import Weights, balanced, per_centre_classifier  # noqa: E402
from jaxbias.robustness import Budget, radius, radius_batch  # noqa: E402

PLANE_EFFORTS = ("bounds", "tight", "exact")


def spread(values):
    """Median and least of ratios of the two ends."""
    return f"{np.median(values):.4f} ({np.min(values):.4f})"


def closed(found):
    """Lower over upper end of every point that is right and has a witness."""
    right = (found.upper > 0) & np.isfinite(found.upper)
    return (found.lower / np.where(right, found.upper, 1.0))[right]


def clusters(out):
    """F^(p) near its centres, the centres exact and turned towards each other."""
    out("\n## Orthonormal clusters with noise, D = 1000, K = 10, K1 = 6: lower/upper\n")
    out(
        "F^(p) at 200 samples of noise 0.1; cosines of perturbed centres at most kappa."
    )
    out("\n| p | kappa | bounds: median (least) | tight |\n|---|---|---|---|")
    model = OrthonormalClusters(dim=1000, clusters=10, positive=6, noise=0.1)
    sample = model.sample(200, key=jax.random.key(0), dtype="float64")
    centres = model.centres(dtype="float64")
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(10, 10))
    np.fill_diagonal(mixed, 0.0)
    for p in (2.0, 3.0, 4.0):
        weights, activation = per_centre_classifier(
            centres, jnp.asarray(model.labels, float), p
        )
        for kappa in (0.0, 0.007):
            rows = np.asarray(weights.hidden)
            # Scaled until the largest cosine of two centres is kappa.
            size = 0.0
            for _ in range(50):
                turned = rows + size * mixed @ rows
                units = turned / np.linalg.norm(turned, axis=1, keepdims=True)
                cosines = np.abs(units @ units.T - np.eye(10)).max()
                size = size * kappa / cosines if size else kappa / 4
                if not kappa:
                    break
            output = weights.output
            net = Weights(jnp.asarray(units), output, None, None, weights.mask)
            found = [
                radius(
                    net,
                    sample.inputs,
                    sample.labels,
                    activation=activation,
                    effort=effort,
                )
                for effort in ("bounds", "tight")
            ]
            cells = " | ".join(spread(closed(one)) for one in found)
            out(f"| {p:g} | {cosines:.3f} | {cells} |")


def plane(out, nets, branched):
    """Random plane networks of twelve neurons, two points each."""
    out("\n## Random networks in the plane, 12 neurons, 2 points each, l_2\n")
    out(
        "| p | effort | networks | lower/true: median (least) "
        "| upper/true: 99 % (largest) | budget stops | nodes: median, largest | s |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for p in (1.0, 2.0, 3.0):
        for effort in PLANE_EFFORTS:
            # Branching on curved neurons takes minutes for a hundred points.
            slow = effort == "exact" and p > 1
            runs = -(-(branched if slow else nets) // search.RUNS)
            rng = np.random.default_rng(1)
            lower, upper, stops, nodes = [], [], 0, []
            start = time.monotonic()
            for _ in range(runs):
                arrays = search.networks(rng, "generic", 2, search.RUNS)
                x = rng.normal(size=(search.RUNS, 2, 2))
                y = np.where(search.forward(arrays, p, x) > 0, 1.0, -1.0)
                found = radius_batch(
                    search.weights_of(arrays),
                    search.activation_of(p),
                    x,
                    y,
                    effort=effort,
                    budget=Budget(nodes=20_000, gap=1e-4, seconds=60),
                )
                reach = np.where(np.isfinite(found.upper), 1.02 * found.upper, 30.0)
                truth = np.asarray(
                    search.nearest_broken(
                        arrays, p, 2.0, x, y, np.maximum(reach, 1e-9), found.witness
                    )
                )
                # No ray meets a tie at the origin, but its witness is a broken point.
                truth = np.minimum(truth, found.upper)
                # Where the network is 0 the label is wrong and the radius is 0.
                right = found.upper > 0
                lower += list((found.lower / truth)[right])
                upper += list((found.upper / truth)[right])
                stops += int(np.sum(found.status == "gap"))
                nodes += list(found.nodes.ravel())
            out(
                f"| {p:g} | {effort} | {runs * search.RUNS} | {spread(lower)} "
                f"| {np.quantile(upper, 0.99):.4f}"
                f" ({max(upper):.4f}) | {stops} | {np.median(nodes):.0f}, "
                f"{max(nodes)} | {time.monotonic() - start:.0f} |"
            )


def above_exact(cases, budget):
    """Ratios of upper ends of the default effort and of exact searches, and counts.

    The counts are of points missed, of searches that their budget stopped, and of
    networks.
    """
    ratios, missed, stops, networks = [], 0, 0, 0
    for net, x, y, options in cases:
        networks += 1
        default = radius(net, x, y, **options).upper
        found = radius(net, x, y, effort="exact", budget=budget, **options)
        known = np.isfinite(found.upper) & (found.upper > 0)
        missed += int(np.isinf(default[known]).sum())
        stops += int(np.sum(found.status == "gap"))
        known &= np.isfinite(default)
        ratios += list(default[known] / found.upper[known])
    return np.array(ratios), missed, stops, networks


def compared(out, name, cases):
    """One line: upper ends of the default effort over those of an exact search."""
    start = time.monotonic()
    budget = Budget(nodes=1000, gap=1e-5, seconds=20)
    ratios, missed, stops, networks = above_exact(cases, budget)
    out(
        f"| {name} | {networks} | {len(ratios)} | {np.mean(ratios > 1.02):.4f} "
        f"| {np.mean(ratios > 1 + 1e-6):.4f} | {np.quantile(ratios, 0.99):.4f} "
        f"({ratios.max():.4f}) | {missed} | {stops} "
        f"| {time.monotonic() - start:.0f} |"
    )


def biased(out, nets):
    """The default effort against exact searches."""
    out("\n## Effort bounds against exact: upper ends\n")
    out(
        "Random networks with biases: 8 neurons, 5 inputs, 4 points each. Summed "
        "logits: 4 clusters in 12 dimensions, noise 0.1, one neuron a class and "
        "trained networks of 40 neurons.\n\n| network | networks | points "
        "| > 2 % above | > 1e-6 above | ratio: 99 % (largest) | missed "
        "| budget stops | s |\n|---|---|---|---|---|---|---|---|---|"
    )
    for p in (1.0, 3.0):
        for order in (2.0, np.inf):
            cases = random_biased(p, order, nets)
            compared(out, f"biased, p = {p:g}, l_{order:g}", cases)
    for order in (2.0, np.inf):
        for kind in ("explicit", "trained"):
            compared(out, f"summed logits, {kind}, l_{order:g}", summed(kind, order))


def random_biased(p, order, nets):
    """Networks, points, labels and options; every number standard normal."""
    rng = np.random.default_rng(0)
    activation = jb.networks.ReLU() if p == 1 else jb.networks.Power(p)
    for _ in range(nets):
        hidden, bias = rng.normal(size=(8, 5)), rng.normal(size=8)
        output, constant = rng.normal(size=8), 0.3 * rng.normal()
        x = rng.normal(size=(4, 5))
        f = np.maximum(x @ hidden.T + bias, 0) ** p @ output + constant
        arrays = [jnp.asarray(a) for a in (hidden, output, bias, np.array(constant))]
        net = Weights(arrays[0], arrays[1], arrays[2], arrays[3], jnp.ones(8, bool))
        options = {"activation": activation, "order": order}
        yield net, x, np.where(f > 0, 1, -1), options


def summed(kind, order):
    """Networks with one class a cluster, read out by the sums of two groups."""
    rng = np.random.default_rng(1)
    groups = np.array([1, 1, -1, -1])
    options = {
        "activation": jb.networks.ReLU(),
        "order": order,
        "readout": jb.networks.readouts.SummedLogits(tuple(groups.tolist())),
    }
    for _ in range(10):
        clusters = rng.integers(4, size=40)
        x = np.eye(4, 12)[clusters] + 0.1 * rng.normal(size=(40, 12))
        hidden, output = np.eye(4, 12), np.eye(4)
        if kind == "trained":
            hidden = 0.05 * rng.normal(size=(40, 12))
            output = 0.05 * rng.normal(size=(40, 4))
            for _ in range(2000):
                heights = np.maximum(x @ hidden.T, 0)
                logits = heights @ output
                share = np.exp(logits - logits.max(1, keepdims=True))
                error = share / share.sum(1, keepdims=True) - np.eye(4)[clusters]
                back = (error @ output.T) * (heights > 0)
                output = output - 0.2 * heights.T @ error / 40
                hidden = hidden - 0.2 * back.T @ x / 40
        mask = jnp.ones(len(hidden), bool)
        net = Weights(jnp.asarray(hidden), jnp.asarray(output), None, None, mask)
        yield net, x[:10], groups[clusters[:10]], options


def wide(out):
    """A trained network of 2000 neurons."""
    out("\n## Trained networks of width 2000: D = 1000, K = 10, noise 0.1, 200 rows\n")
    out(
        "Flow on the exponential loss to T = 200 (p = 1) and 500 (p = 3); 200 test "
        "points.\n\n| p | effort | lower/upper: median (least) | within 2 % "
        "| budget stops | s |\n|---|---|---|---|---|---|"
    )
    model = OrthonormalClusters(dim=1000, clusters=10, positive=6, noise=0.1)
    for p, horizon in ((1, 200.0), (3, 500.0)):
        activation = search.activation_of(p)
        flow = jb.dynamics.GradientFlow(
            jb.networks.TwoLayer(2000, activation, balanced(1e-7)), model, 200
        )
        problem = flow.problem(jax.random.key(0), dtype="float64")
        integrator = jb.dynamics.Adaptive(accuracy="final outputs")
        run = jb.dynamics.solve(problem, [horizon], {}, integrator)
        test = model.sample(200, key=jax.random.key(1), dtype="float64")
        for effort in PLANE_EFFORTS:
            start = time.monotonic()
            found = radius(
                run.final,
                test.inputs,
                test.labels,
                activation=activation,
                effort=effort,
                budget=Budget(gap=0.01, seconds=300),
            )
            ratio = closed(found)
            out(
                f"| {p} | {effort} | {spread(ratio)} | {np.mean(ratio >= 0.98):.3f} "
                f"| {int(np.sum(found.status == 'gap'))} "
                f"| {time.monotonic() - start:.1f} |"
            )


def images(out, epochs, orders):
    """Networks of 500 neurons on MNIST, ten classes, input-normalised."""
    import optax

    from jaxbias.data import mnist
    from jaxbias.dynamics import train_module

    out(f"\n## MNIST: 784 inputs, 500 neurons, ten classes, {epochs} epochs of Adam\n")
    out(
        "Bounds of 1,000 test points; the second time is without compiling.\n\n"
        "| p | norm | lower/upper: median (least) | right | s | s again |\n"
        "|---|---|---|---|---|---|"
    )
    data = mnist("class", dtype="float32")
    for p in (1.0, 2.0, 3.0, 4.0):
        spec = jb.networks.TwoLayer(
            500,
            jb.networks.PReLU(p),
            jb.networks.torch_uniform(),
            classes=10,
            output_bias=True,
            normalise_inputs=True,
        )
        network, _ = train_module(
            spec.build(jax.random.key(0), data.train.dim, dtype="float32"),
            data.train,
            optimiser=optax.adam(1e-3),
            loss="cross_entropy",
            epochs=epochs,
            batch=100,
            key=jax.random.key(1),
        )
        rows = data.test.inputs[:1000], data.test.labels[:1000]
        for order in orders:
            seconds = []
            for _ in range(2):
                start = time.monotonic()
                found = radius(network, *rows, order=2 if order == "2" else "inf")
                seconds.append(time.monotonic() - start)
            out(
                f"| {p:g} | l_{order} | {spread(closed(found))} "
                f"| {np.mean(found.upper > 0):.3f} | {seconds[0]:.0f} "
                f"| {seconds[1]:.0f} |"
            )


def main():
    """Run the parts and write the log as it grows."""
    parts = {
        "clusters": clusters,
        "plane": plane,
        "biased": biased,
        "wide": wide,
        "images": images,
    }
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("parts", nargs="*", choices=[*parts, []], default=[])
    asked.add_argument("--nets", type=int, default=500)
    asked.add_argument("--branched", type=int, default=50)
    asked.add_argument("--epochs", type=int, default=10)
    asked.add_argument(
        "--orders", nargs="+", choices=["2", "inf"], default=["2", "inf"]
    )
    asked.add_argument("--out", type=Path, default=Path("figures/radii/tightness.md"))
    given = asked.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w") as log:

        def out(line):
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()

        out("# Tightness of certified radii\n\nWritten by `scripts/tightness.py`.")
        for name in given.parts or parts:
            if name == "plane":
                plane(out, given.nets, given.branched)
            elif name == "biased":
                biased(out, given.nets)
            elif name != "images":
                parts[name](out)
            elif os.environ.get("JAXBIAS_DATA"):
                images(out, given.epochs, given.orders)
            else:
                out("\nMNIST was not measured: JAXBIAS_DATA is not set.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
