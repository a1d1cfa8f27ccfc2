"""What the page of the study says: what was run, what was found, what differs."""

from typing import Any

import numpy as np
import xarray as xr

_DATA = {"digits": "8 x 8 digits", "mnist": "MNIST", "features": "features"}
_TASKS = {"parity": "even against odd", "halves": "first half against second"}
_READ = {"max": "the largest output", "sum": "sums of outputs"}


def about(s: Any) -> list[str]:
    """What was run, from the settings of the study."""
    r, base = s.recipe, s.scans.base
    m, few = r.neurons_per_class, base.neurons_per_class
    lines = [
        f"Plane: explicit networks on {s.clusters} orthogonal centres ({s.positive} "
        "positive), no biases; circles are exact radii at the first centre, by "
        "enumeration.",
        f"Paper's size: {r.clusters} clusters ({r.split[0]} positive) in {r.dim} "
        f"dimensions, {r.samples_per_cluster} samples of each, {m} + {m} neurons with "
        f"biases for two labels and {r.clusters} without for cluster numbers, gradient "
        f"descent of rate {r.learning_rate:g} on all samples, {r.steps[-1]} steps, "
        f"first weights N(0, {r.init_scale:g}^2), float32, {_plural(s.seeds, 'seed')}.",
        f"Robust accuracy: exact l2 radii of {s.points} fresh samples, "
        f"{_plural(s.attacked, 'seed')}; the paper's attack climbs the loss of "
        f"training, {s.attack_steps} steps of a quarter of the radius from a random "
        "point on the sphere. Two labels here have output weights 1/m.",
        f"Scans and radii against k: d = {base.dim}, {base.samples_per_cluster} "
        f"samples a cluster, {few} + {few} neurons (one a cluster for cluster "
        f"numbers), {base.steps[-1]} steps of eta d/(m k) = {base.rate:g}, "
        f"{s.scans.seeds} seeds, "
        f"exact radii, but for cluster numbers beyond k = {s.scans.exact}: bounds.",
    ]
    for protocol in s.pictures:
        lines.append(
            f"{_DATA[protocol.data]}: ReLU networks of width {protocol.width}, Adam at "
            f"1e-3, {protocol.epochs} epochs of batches of {protocol.batch}, "
            f"{protocol.seeds} seeds, the same start and minibatches for two labels "
            f"and ten; l2 attacks and certificates on {protocol.points} test images, "
            "pixels in [0, 1], nothing clipped."
        )
    return lines


def accuracies(table: xr.Dataset) -> list[str]:
    """Median radii at the paper's size, and how often the paper's attack says more."""
    middle = table.median_radius.median("seed").sel(end="upper")
    closed = float(table.closed.min())
    upper = table.accuracy.sel(end="upper").sel(radius=table.budget, method="nearest")
    # Budgets stand on the grid of radii, so both counts are of the same points.
    excess = (table.attack - upper.drop_vars("radius")).max(("seed", "budget"))
    found = ", ".join(
        f"{name} {float(middle.sel(readout=name)):.2f}"
        for name in middle.readout.values
    )
    more = ", ".join(
        f"{name} {100 * float(excess.sel(readout=name)):.0f} points"
        for name in middle.readout.values
    )
    return [
        f"Median radii of fresh samples: {found}; both ends meet at "
        f"{100 * closed:.1f} % of the points or more. The paper's attack reports at "
        f"most so much more robust accuracy than is left: {more}.",
    ]


def ratios(table: xr.Dataset) -> list[str]:
    """How radii fall with the number of clusters, and where ends do not meet."""
    middle = table.middle.median("seed")
    counts = np.log(table.clusters.values.astype(float))
    text = ""
    if len(counts) > 1:
        rows = [(n, middle.sel(readout=n).values) for n in table.readout.values]
        slopes = [f"{n} {np.polyfit(counts, np.log(r), 1)[0]:.3f}" for n, r in rows]
        text = (
            "Median radii of the centres against k, slopes on log scales: "
            f"{', '.join(slopes)}."
        )
    lower, upper = (table.radius.sel(end=end) for end in ("certified", "upper"))
    worst = (1 - lower / upper.where(upper > 0)).max(("readout", "seed"))
    dead = (upper.sel(readout="max") == 0).sum("seed")
    wide = [int(k) for k in table.clusters[worst.values > 1e-3]]
    if wide:
        text += (
            f" At k = {', '.join(map(str, wide))} there are bounds only, which differ "
            f"by up to {100 * float(worst.max()):.0f} %; bars show both ends."
        )
    for k in table.clusters[dead.values > 0].values:
        text += (
            f" At k = {k} {int(dead.sel(clusters=k))} of {table.sizes['seed']} "
            "networks of one neuron a cluster left a cluster unlearned (radius 0, a "
            "cross at the foot), as happens to a neuron that is off at all samples of "
            "its cluster from the start."
        )
    return [text.strip()] if text else []


def images(table: xr.Dataset) -> list[str]:
    """Where labels of all classes help on real images, and where they do not."""
    name = _DATA.get(table.attrs["data"], table.attrs["data"])
    lines = []
    for task in map(str, table.task.values):
        part = table.sel(task=task)
        clean = part.accuracy.median("seed")
        said = []
        for readout, how in _READ.items():
            lower, upper = (
                _ratio(part, readout, end) for end in ("certified", "upper")
            )
            said.append(f"by {how} {_spread(upper)} (certified {_spread(lower)})")
        verdicts = [
            f"Read out by {how}, cluster labels {_helps(_ratio(part, r, 'upper'))}."
            for r, how in _READ.items()
        ]
        lines.append(
            f"{name}, {_TASKS[task]}: median l2 radius of networks trained on all "
            f"classes over that of networks of two labels: {', '.join(said)}; clean "
            f"accuracies {float(clean.sel(readout='class')):.3f} with two labels, "
            f"{float(clean.sel(readout='max')):.3f} and "
            f"{float(clean.sel(readout='sum')):.3f} with all classes. "
            f"{' '.join(verdicts)}"
        )
    return lines


def _ratio(part: xr.Dataset, readout: str, end: str) -> np.ndarray:
    median = part.median_radius.sel(end=end)
    own, plain = median.sel(readout=readout), median.sel(readout="class")
    return np.sort((own / plain).values)


def _spread(values: np.ndarray) -> str:
    return f"{np.median(values):.2f} [{values[0]:.2f}, {values[-1]:.2f}]"


def _helps(values: np.ndarray) -> str:
    """Every seed has to agree."""
    if values[0] > 1:
        return "raised the median radius on every seed"
    if values[-1] < 1:
        return "lowered the median radius on every seed"
    return "did not move the median radius one way on all seeds"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


DIFFERS = (
    "The full text of the paper was not available to us. Its data model, assumptions, "
    "architecture and figures 1 to 3 were read as images, the abstract, the reviews, "
    "and the released code and result files as such; theorem numbers, constants and "
    "probabilities were not, and nothing here tests them. Closed forms are derived "
    "here unless a row of the verdicts says otherwise.",
    "Theorems of the paper are stated for dimensions (about k^10, as recalled) that no "
    "computer reaches. All networks here are far below, and what is measured is the "
    "effect, not the theorem.",
    "Figure 1: the paper draws its decoupled network with thresholds. Descent does not "
    "learn any of use (biases end near lambda k_s/d), so the plane shows the network "
    "without them, read out by the largest output and by sums of outputs. Published "
    "accounts of the paper name the sum; by it the radius is sqrt(d/(1+k-)), not of "
    "order sqrt(d). By the largest output, which the released evaluation code uses, it "
    "is sqrt(d/2), half the distance of two centres: no classifier exceeds it at two "
    "centres of opposite classes at once, though it may at one of them.",
    "Figure 2 (a, b): the paper's text has output weights 1/m, the released code 1; "
    "both are drawn. Cosines of single neurons are shown, which the released code "
    "averages over a group and another reproduction takes of mean weights.",
    "Figure 3 (left): the curve for ten classes is made by an attack on the loss of "
    "the cluster. At a clean sample the neurons of other clusters are mostly off and "
    "have no gradient, so it steps along its own centre alone (masking) and reports "
    "radii beyond sqrt(d/2), where no classifier keeps more than max(k+, k-)/k. Exact "
    "radii are the result, the attack is shown for comparison. Open marks are the "
    "published points at the radii of the drawn axis; moved by one step of its grid "
    "(+2) they would agree with an imperfect attack, which is our inference.",
    "Figures 2 (c, d) and 3 (right) use features of a CIFAR-10 network that we do not "
    "have, and CIFAR-10 is not of this project. Handwritten digits (and MNIST, where "
    "its files are) stand in for them, and the networks are trained on pixels, in both "
    "layers, by Adam: a test of whether cluster labels help on images, not a "
    "reproduction of those panels.",
)
