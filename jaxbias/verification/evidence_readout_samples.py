"""Fresh samples of explicit networks: exact radii, and what blind attacks report.

With orthogonal centres of norm sqrt(d) the projections of N(0, I) on their directions
are independent N(0, 1), and no other coordinate enters a network.
"""

import math

import numpy as np

from jaxbias import _draws
from jaxbias.verification._readout_networks import TIES, Network, axes, radii
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_readouts import family

_STATED = {
    "norm": "l_2",
    "tie": TIES["<="],
    "centre_norm": "sqrt(d)",
    "noise_unit": "1 per coordinate",
}


def draw(
    centres: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of equally likely clusters, and the cluster of each."""
    cluster = rng.integers(len(centres), size=count)
    return centres[cluster] + rng.standard_normal((count, centres.shape[1])), cluster


def _ends(network: Network, centres, own: int, count: int, rng) -> np.ndarray:
    """Lower and upper ends of the radius at fresh samples, (end, sample)."""
    points, cluster = draw(centres, count, rng)
    sides = (cluster < own, 1), (cluster >= own, -1)
    return np.concatenate(
        [np.stack(radii(network, points[rows], label)) for rows, label in sides], axis=1
    )


def _arrays(ends: list[np.ndarray]) -> dict:
    low, high = np.stack(ends, axis=1)
    return {"lower": low, "upper": high, "seeds": low.shape[1]}


@computation("readout_samples/radii", **_STATED)
def sample_radii(parameters, root):
    """Radius intervals of one kind of network, by case and sample."""
    rng = np.random.default_rng(root)
    ends = []
    for own, opposite, dim in parameters["cases"]:
        centres = axes(own + opposite, dim)
        network = family(parameters["network"], centres, own, rng)
        ends.append(_ends(network, centres, own, parameters["samples"], rng))
    readout = "sign" if parameters["network"] == "averaged" else parameters["network"]
    return {**_arrays(ends), "conventions": {"readout": readout}}


@computation("readout_samples/family", **_STATED)
def family_radii(parameters, root):
    """Radius intervals of several networks, by network and sample."""
    rng = np.random.default_rng(root)
    own, ends = parameters["own"], []
    centres = axes(own + parameters["opposite"], parameters["dim"])
    for name in parameters["networks"]:
        network = family(name, centres, own, rng)
        ends.append(_ends(network, centres, own, parameters["samples"], rng))
    return _arrays(ends)


@computation("readout_samples/blind", readout="summed logits", **_STATED)
def blind(parameters, root):
    """Samples that PGD from the clean point leaves right, by radius.

    Last, those that a step to all opposite centres leaves right at the first radius.
    """
    import jax
    import jax.numpy as jnp

    from jaxbias.networks.decoupling import decoupled_network
    from jaxbias.networks.readouts import SummedLogits
    from jaxbias.networks.weights import predict
    from jaxbias.robustness import pgd

    rng = np.random.default_rng(root)
    own, budgets = parameters["own"], parameters["radii"]
    centres = axes(own + parameters["opposite"], parameters["dim"])
    points, cluster = draw(centres, parameters["samples"], rng)
    labels = np.where(cluster < own, 1, -1)
    readout = SummedLogits(tuple([1] * own + [-1] * parameters["opposite"]))
    sums = centres[own:].sum(axis=0), centres[:own].sum(axis=0)
    steps = np.where((labels > 0)[:, None], *sums) - centres[cluster]
    steps *= budgets[0] / np.linalg.norm(steps, axis=1)[:, None]
    with jax.enable_x64(True):
        weights, activation = decoupled_network(jnp.asarray(centres))
        wrong = pgd.broken(
            weights,
            activation,
            points,
            labels,
            budgets,
            readout=readout,
            steps=100,
            step=2.5 * max(budgets) / 100,
        )
        outputs = predict(weights, activation, jnp.asarray(points + steps))
        left = np.asarray(readout.margin(outputs, jnp.asarray(labels))) > 0
    count = np.append((~wrong).sum(axis=1), left.sum())
    return {"count": count, "trials": len(points), "seeds": len(points)}


@computation("readout_samples/sphere", readout="group argmax", **_STATED)
def sphere(parameters, root):
    """Samples that the attack from the sphere leaves right, by radius.

    In all d coordinates: a random point of the sphere hardly moves any score there.
    """
    import jax
    import jax.numpy as jnp

    from jaxbias.networks.decoupling import decoupled_network
    from jaxbias.networks.readouts import GroupArgmax
    from jaxbias.robustness import sphere_pgd

    rng = np.random.default_rng(root)
    own, dim = parameters["own"], parameters["dim"]
    count = own + parameters["opposite"]
    centres = math.sqrt(dim) * np.eye(count, dim)
    points, cluster = draw(centres, parameters["samples"], rng)
    labels = np.where(cluster < own, 1, -1)
    groups = GroupArgmax(tuple([1] * own + [-1] * parameters["opposite"]))
    with jax.enable_x64(True):
        weights, activation = decoupled_network(
            jnp.asarray(centres), logit=parameters["logit"]
        )
        wrong = sphere_pgd.broken(
            weights,
            activation,
            points,
            cluster,
            parameters["radii"],
            key=_draws.seed_key(root),
            scored=(groups, labels),
        )
    kept = (~wrong).sum(axis=1)
    return {"count": kept, "trials": len(points), "seeds": len(points)}
