"""Small flows that the tests of the dynamics share."""

import functools

import jax
import jax.numpy as jnp

from jaxbias import losses
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics import GradientFlow, solve
from jaxbias.networks import (
    LeakyReLU,
    Power,
    PReLU,
    ReLU,
    TwoLayer,
    balanced,
    unbalanced,
)

CLUSTERS = OrthonormalClusters(dim=60, clusters=4, positive=2, noise=0.1)
NETWORKS = {
    "relu": TwoLayer(20, ReLU(), balanced(1e-3)),
    "leaky": TwoLayer(20, LeakyReLU(0.1), balanced(1e-3)),
    "relu-biases": TwoLayer(
        20, ReLU(), balanced(1e-3), hidden_bias=True, output_bias=True
    ),
    "prelu2.5": TwoLayer(20, PReLU(2.5), balanced(1e-3)),
    "prelu3": TwoLayer(20, PReLU(3), balanced(1e-3)),
    "prelu3-unbalanced": TwoLayer(20, PReLU(3), unbalanced(1e-3, 1e-4)),
    "prelu3-frozen": TwoLayer(20, PReLU(3), balanced(1e-3), output="frozen"),
    "prelu3-biases": TwoLayer(
        20, PReLU(3), balanced(1e-3), hidden_bias=True, output_bias=True
    ),
    "prelu3-classes": TwoLayer(20, PReLU(3), balanced(1e-3), classes=3),
    "power3": TwoLayer(20, Power(3), balanced(0.1)),
}
SMOOTH = [n for n, s in NETWORKS.items() if s.activation.smoothness > 0]
KINKED = [n for n in NETWORKS if n not in SMOOTH]


@functools.cache
def problem(name, dtype="float64", samples=40, seed=3):
    key = jax.random.key(seed)
    network = NETWORKS[name]
    if network.classes is None:
        flow = GradientFlow(network, CLUSTERS, samples, clock="per_cluster_mean")
        return flow.problem(key, dtype=dtype)
    drawn = CLUSTERS.sample(samples, key=key, dtype=dtype)
    classes = jnp.minimum(drawn.clusters, network.classes - 1)
    data = Dataset(
        drawn.inputs, classes, drawn.clusters, drawn.centres, drawn.centre_labels
    )
    flow = GradientFlow(
        network, data, loss=losses.cross_entropy, clock="per_cluster_mean"
    )
    return flow.problem(key, dtype=dtype)


@functools.partial(jax.jit, static_argnames=("times", "integrator", "form"))
def run_fixed(problem, times, integrator, form="auto"):
    return solve(problem, times, {}, integrator, form)


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))
