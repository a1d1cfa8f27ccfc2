"""Gradient descent, step by step: when each neuron has turned to a centre."""

import numpy as np

from jaxbias.verification.evidence import computation

#: Steps between two records; in between, cosines are interpolated.
_SPACING = 5


def first_crossing(steps: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Where each column of (record, neuron) values first reaches a level.

    Linear between records; infinite where it never does.
    """
    reached = values >= level
    after = np.argmax(reached, axis=0)
    columns = np.arange(values.shape[1])
    before = np.maximum(after - 1, 0)
    low, high = values[before, columns], values[after, columns]
    rise = np.where(high > low, high - low, 1.0)
    share = np.where(after > 0, (level - low) / rise, 1.0)
    found = steps[before] + share * (steps[after] - steps[before])
    return np.where(reached.any(axis=0), found, np.inf)


@computation(
    "descent/alignment",
    clock="mean",
    loss_scale="(y - f)^2",
    centre_norm="1",
    noise_unit="alpha/sqrt(D) per coordinate",
    output_layer="trained, balanced",
)
def alignment(parameters, root):
    """Initial cosines and steps to alignment by (dimension, seed, neuron).

    The package's squared loss is half of (y - f)^2, so that the rate counts s0
    times. A neuron's cosine is the largest to a centre of its own class.
    """
    import jax
    import jax.numpy as jnp

    from jaxbias.data import OrthonormalClusters
    from jaxbias.dynamics import Descent, GradientFlow, descend
    from jaxbias.dynamics.snapshot import snapshot_of
    from jaxbias.losses import squared
    from jaxbias.networks import PReLU, TwoLayer, balanced
    from jaxbias.sweeps.keys import run_key

    def own_cosines(seen):
        own = seen.output[None, :] * seen.centre_labels[:, None] > 0
        cosines = seen.centre_scores / seen.norms[None, :]
        return jnp.max(jnp.where(own, cosines, -jnp.inf), axis=0)

    rate = parameters["slope"] * parameters["rate"]
    keys = jnp.stack(
        [run_key(f"ledger-{root}", seed) for seed in range(parameters["seeds"])]
    )
    network = TwoLayer(
        parameters["width"],
        PReLU(parameters["exponent"]),
        balanced(parameters["scale"]),
    )
    starts, crossings = [], []
    for dim in parameters["dims"]:
        clusters = OrthonormalClusters(
            dim,
            parameters["clusters"],
            parameters["positive"],
            parameters["noise"],
        )
        flow = GradientFlow(
            network, clusters, parameters["samples"], loss=squared, clock="mean"
        )
        # Twice the median's time: three neurons in four have turned by then.
        last = int(0.5 * np.sqrt(dim) * parameters["clusters"] / rate)
        steps = np.arange(_SPACING, last + 1, _SPACING)

        @jax.jit
        def many(keys, flow=flow, steps=steps):
            def one(key):
                problem = flow.problem(key, dtype="float32")
                begin = snapshot_of(
                    problem.initial, problem.activation, problem.dataset, squared
                )
                run = descend(
                    problem, Descent(rate), steps, {"cosine": own_cosines}, key=key
                )
                return own_cosines(begin), run.observables["cosine"]

            return jax.lax.map(one, keys)

        start, path = (np.asarray(part, float) for part in many(keys))
        starts.append(start)
        records = np.append(0, steps)
        level = parameters["aligned"]
        both = np.concatenate([start[:, None], path], axis=1)
        crossings.append([first_crossing(records, seed, level) for seed in both])
    return {
        "cosines": np.array(starts),
        "observed": np.array(crossings),
        # Curvature between two records moves a crossing by far less than one step.
        "error": 1.0,
        "seeds": parameters["seeds"],
    }
