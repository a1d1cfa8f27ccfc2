r"""The papers' attack in PyTorch: projected gradient ascent at each of 15 radii.

$\delta \leftarrow \Pi_{\|\delta\|\le r}(\delta + 0.1\,g/(\|g\| + 10^{-7}))$ from
$\delta = 0$, g the gradient of the batch mean of $e^{-y f}$, float32, one thread
(min-vidal-2024, section 5.1 and code).
"""

import importlib

import numpy as np

from jaxbias.benchmarks.prepared import Answer, Prepared
from jaxbias.benchmarks.radii import Radii

CHOSEN = {"radii": 15, "steps": 2000}
#: There is no plot of these.
SETTINGS = ()
_LARGEST = 1.5
_STEP, _STABILISER = 0.1, 1e-7


def grid(count: int) -> np.ndarray:
    """The papers' radii: evenly spaced, from 0 to 1.5."""
    return np.linspace(0.0, _LARGEST, count)


def smallest_broken(radii: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """The first radius at which each point is broken, infinite where there is none.

    Args:
        radii: increasing, (radius,).
        broken: (radius, point).
    """
    return np.where(broken.any(axis=0), radii[broken.argmax(axis=0)], np.inf)


def prepare(workload: Radii, seeds: tuple[int, ...], setting: dict) -> Prepared:
    """Ready tensors; one run is the whole sweep."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    weights, *data = workload.problems(seeds, "float32")
    hidden, output, points, labels = (
        torch.tensor(np.asarray(array, np.float32))
        for array in (weights.hidden, weights.output, *data)
    )
    p = workload.flow.exponent
    divisors = torch.linalg.norm(hidden, dim=1) ** (p - 1)

    def margins(moved):
        scores = torch.relu(moved @ hidden.T)
        if p != 1:
            scores = torch.pow(scores, p) / divisors
        return labels * (scores @ output)

    radii = grid(setting["radii"])

    def run() -> Answer:
        broken = np.stack(
            [_broken(torch, margins, points, float(r), setting["steps"]) for r in radii]
        )
        gradients = float(setting["radii"] * setting["steps"])
        return Answer(smallest_broken(radii, broken), evaluations=gradients)

    return Prepared(run)


def _broken(torch, margins, points, radius, steps):
    delta = torch.zeros_like(points)
    for _ in range(steps):
        delta.requires_grad_(True)
        loss = torch.exp(-margins(points + delta)).mean()
        (slope,) = torch.autograd.grad(loss, delta)
        with torch.no_grad():
            size = torch.linalg.norm(slope, dim=1, keepdim=True)
            delta = delta + _STEP * slope / (size + _STABILISER)
            lengths = torch.linalg.norm(delta, dim=1, keepdim=True)
            delta = delta * torch.where(lengths > radius, radius / lengths, 1.0)
    with torch.no_grad():
        return (margins(points + delta) <= 0).numpy()
