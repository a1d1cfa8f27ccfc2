"""Where explicit networks err, on planes through a centre: figure 1 of the paper."""

import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias.networks.constructions import averaged_classifier
from jaxbias.networks.decoupling import decoupled_network
from jaxbias.networks.readouts import GroupArgmax, Score, SummedLogits
from jaxbias.networks.weights import predict
from jaxbias.studies._averaging_laws import ideal_radii
from jaxbias.studies._averaging_runs import READOUTS
from jaxbias.verification import _readout_networks as explicit

#: The directions that span each plane, the first along its abscissa.
PLANES = (("max", "averaged"), ("sum", "averaged"), ("max", "sum"))
_SPAN = (-0.78, 1.56), (-0.78, 0.9)


def attacks(positive: int, clusters: int) -> dict[str, np.ndarray]:
    r"""The shortest steps that break each network at $\mu_1$, in the centres' frame.

    $-\frac1k(\sum_{J_+}\mu_j - \sum_{J_-}\mu_j)$, $\frac12(\mu_l - \mu_1)$ with l the
    first of $J_-$, and $\frac1{1 + k_-}(\sum_{J_-}\mu_j - \mu_1)$.
    """
    signs = np.where(np.arange(clusters) < positive, 1.0, -1.0)
    first = np.eye(clusters)[0]
    rival = np.eye(clusters)[positive]
    return {
        "averaged": -signs / clusters,
        "max": (rival - first) / 2,
        "sum": ((signs < 0) - first) / (1 + clusters - positive),
    }


def planes(positive: int, clusters: int, grid: int) -> xr.Dataset:
    r"""Margins of three networks on planes through $\mu_1$; lengths over $\sqrt d$.

    Args:
        positive: clusters of label +1.
        clusters: all of them.
        grid: rows and columns of a plane.

    Returns:
        ``margin`` (plane, readout, y, x), positive where the label of $\mu_1$ stands,
        ``attack`` (plane, readout, coordinate), NaN for steps that leave the plane,
        ``centre`` (plane, cluster, coordinate), likewise, ``radius`` (readout), exact
        at $\mu_1$, and ``ideal`` (readout), its closed form.
    """
    centres = jnp.eye(clusters)
    labels = jnp.where(jnp.arange(clusters) < positive, 1.0, -1.0)
    groups = tuple(np.asarray(labels).astype(int).tolist())
    fine = decoupled_network(centres)
    networks = {
        "averaged": (*averaged_classifier(centres, labels), Score()),
        "max": (*fine, GroupArgmax(groups)),
        "sum": (*fine, SummedLogits(groups)),
    }
    steps, first = attacks(positive, clusters), np.eye(clusters)[0]
    x, y = (np.linspace(*ends, grid) for ends in _SPAN)
    margin = np.full((len(PLANES), len(READOUTS), grid, grid), np.nan)
    attack = np.full((len(PLANES), len(READOUTS), 2), np.nan)
    centre = np.full((len(PLANES), clusters, 2), np.nan)
    for p, (along, across) in enumerate(PLANES):
        frame = _frame(steps[along], steps[across])
        offsets = np.stack(np.meshgrid(x, y), axis=-1) @ frame
        rows = jnp.asarray((first + offsets).reshape(-1, clusters))
        for r, name in enumerate(READOUTS):
            weights, activation, readout = networks[name]
            outputs = predict(weights, activation, rows)
            found = readout.margin(outputs, jnp.ones(len(rows)))
            margin[p, r] = np.asarray(found).reshape(grid, grid)
            attack[p, r] = _inside(frame, steps[name])
        for j, mean in enumerate(np.eye(clusters)):
            centre[p, j] = _inside(frame, mean - first)
    exact = np.array([_radius(name, positive, clusters) for name in READOUTS])
    ideal = ideal_radii(positive, clusters - positive)
    return xr.Dataset(
        {
            "margin": (("plane", "readout", "y", "x"), margin),
            "attack": (("plane", "readout", "coordinate"), attack),
            "centre": (("plane", "cluster", "coordinate"), centre),
            "radius": ("readout", exact),
            "ideal": ("readout", [ideal[name] for name in READOUTS]),
        },
        {
            "plane": [", ".join(names) for names in PLANES],
            "readout": list(READOUTS),
            "cluster": np.arange(1, clusters + 1),
            "x": x,
            "y": y,
        },
        {"plot": "geometry", "clusters": clusters, "positive": positive},
    )


def _frame(along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Two orthonormal rows that span both, the first along the first."""
    first = along / np.linalg.norm(along)
    rest = across - (across @ first) * first
    return np.stack([first, rest / np.linalg.norm(rest)])


def _inside(frame: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Coordinates of a step in the plane, NaN if it leaves it."""
    found = frame @ step
    off = np.linalg.norm(found @ frame - step) > 1e-9
    return np.full(2, np.nan) if off else found


def _radius(name: str, positive: int, clusters: int) -> float:
    """By enumeration of the sets on which the network is convex; confirmed there."""
    centres = np.eye(clusters)
    if name == "averaged":
        network = explicit.averaged(centres, positive)
    else:
        readout = "group argmax" if name == "max" else "summed logits"
        network = explicit.decoupled(centres, positive, readout)
    _, upper = explicit.radii(network, centres[:1], 1)
    return float(upper[0])
