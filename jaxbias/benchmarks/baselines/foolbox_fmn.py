"""foolbox's fast minimum-norm attack in l_2 on its JAX backend.

The network is read as two logits, (0, f), whose difference is f. The released class
does not keep its steps inside the current ball: it divides a norm by itself. Mended
here, at no cost in time.
"""

import importlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.benchmarks.prepared import Answer, Prepared, warmed
from jaxbias.benchmarks.radii import Radii

CHOSEN = {"steps": 100}
#: There is no plot of these.
SETTINGS = ()
# Far outside the data: nothing is clipped.
_BOUNDS = (-10.0, 10.0)


def prepare(workload: Radii, seeds: tuple[int, ...], setting: dict) -> Prepared:
    """Float32 throughout, as JAX has it by default; the network is compiled."""
    foolbox = importlib.import_module("foolbox")
    weights, points, labels = workload.problems(seeds, "float32")
    classes = jnp.asarray(np.asarray(labels) > 0, "int32")
    p, hidden = workload.flow.exponent, weights.hidden
    divisors = jnp.linalg.norm(hidden, axis=1) ** (p - 1)

    # As arguments: XLA spends seconds on folding constants of this size.
    @jax.jit
    def logits(inputs, hidden, output):
        scores = jax.nn.relu(inputs @ hidden.T)
        if p != 1:
            scores = scores**p / divisors[None]
        outputs = scores @ output
        return jnp.stack([jnp.zeros_like(outputs), outputs], axis=1)

    model = foolbox.JAXModel(
        lambda inputs: logits(inputs, hidden, weights.output), bounds=_BOUNDS
    )
    attack = _projecting(foolbox)(steps=setting["steps"])

    def run() -> Answer:
        with jax.enable_x64(False):
            moved, _, broken = attack(model, points, classes, epsilons=None)
        steps = np.asarray(moved, np.float64) - np.asarray(points, np.float64)
        radii = np.where(np.asarray(broken), np.linalg.norm(steps, axis=1), np.inf)
        return Answer(radii, evaluations=float(setting["steps"]))

    return warmed(run)


def _projecting(foolbox):
    class Projecting(foolbox.attacks.L2FMNAttack):
        def project(self, x, x0, epsilon):
            step = x - x0
            lengths = step.norms.l2(axis=-1).maximum(1e-12)
            return x0 + step * (epsilon / lengths).minimum(1.0).expand_dims(-1)

    return Projecting
