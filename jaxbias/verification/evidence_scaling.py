"""Trained networks over several noises, and on samples they have not seen."""

from typing import Any

import numpy as np

from jaxbias.theory._trained_runs import CONVENTIONS, training
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_training import CHECKED, build

_STATED = {name: value for name, value in CONVENTIONS.items() if value is not None}


def _train(parameters, noise: float, seeds: int, factor: float, root: int) -> Any:
    """Final networks of all seeds, stacked, their flow, and which finished."""
    import jax
    import jax.numpy as jnp

    from jaxbias.dynamics.adaptive import Adaptive
    from jaxbias.dynamics.solve import solve
    from jaxbias.dynamics.status import Status
    from jaxbias.sweeps.keys import run_key

    request = training(parameters, "quick")
    flow = build(request)
    keys = jnp.stack([run_key(f"ledger-{root}", seed) for seed in range(seeds)])

    @jax.jit
    def many(keys, noise, rtol):
        def one(key):
            problem = flow.problem(key, noise=noise, dtype="float64")
            run = solve(
                problem, request.times, {}, Adaptive(rtol, accuracy="final outputs")
            )
            return run.final, run.status

        return jax.lax.map(one, keys)

    weights, status = many(keys, jnp.asarray(noise), request.tolerance * factor)
    return weights, flow, np.asarray(status) == Status.FINISHED.value


def _distances(weights, flow, finished: np.ndarray, fitted: bool) -> np.ndarray:
    """Searched sup over the sphere of |c f - F| (p < 2) or |c f - F^(p)|, by seed.

    The factor c is the best one if ``fitted``, else 1.
    """
    import jax
    import jax.numpy as jnp

    from jaxbias.networks import averaged_classifier, per_centre_classifier
    from jaxbias.observables.distance import distance

    centres = flow.data.centres(dtype="float64")
    labels, unit = jnp.asarray(flow.data.labels), flow.network.activation
    if unit.degree < 2:
        ideal = averaged_classifier(centres, labels)
    else:
        ideal = per_centre_classifier(centres, labels, unit.degree)

    @jax.jit
    def many(stacked):
        key = jax.random.key(0)
        search = lambda w: distance((w, unit), ideal, key=key, fitted=fitted).value
        return jax.lax.map(search, stacked)

    return np.where(finished, np.asarray(many(weights)), np.nan)


@computation("scaling/distance", **_STATED)
def distances(parameters, root):
    """Searched distance to the ideal classifier, by seed and noise.

    ``slope_error`` is how far the mean slope of some seeds moves when the tolerance of
    their runs is three times looser.
    """
    noises, seeds = parameters["noises"], parameters["seeds"]
    checked = min(CHECKED, seeds)

    def solve(count: int, factor: float) -> np.ndarray:
        runs = [_train(parameters, noise, count, factor, root) for noise in noises]
        return np.stack([_distances(*run, fitted=True) for run in runs], axis=1)

    fine, looser = solve(seeds, 1 / 3), solve(checked, 1.0)
    x = np.log(noises)
    slopes = lambda values: np.polyfit(x, np.log(values).T, 1)[0]
    # The mean over seeds is judged, so its own movement counts.
    moved = abs(np.mean(slopes(looser)) - np.mean(slopes(fine[:checked])))
    return {
        "noise": np.array(noises),
        "distance": fine,
        "slope_error": float(moved),
        "seeds": seeds,
        "failed": int(np.isnan(fine).any(axis=1).sum()),
    }


@computation("scaling/lemma", **_STATED)
def lemma(parameters, root):
    """What Lemma 17 speaks of, run by run, and the distance it bounds."""
    import jax

    from jaxbias.dynamics.snapshot import snapshot_of
    from jaxbias.observables import REGISTRY

    names = ("centre_cosines", "contributions", "cluster_amplitudes")

    def measured(seeds: int, factor: float) -> dict[str, Any]:
        weights, flow, finished = _train(
            parameters, parameters["noise"], seeds, factor, root
        )
        rows = flow.data.sample(
            flow.data.clusters, key=jax.random.key(0), dtype="float64"
        )

        @jax.jit
        def look(one):
            seen = snapshot_of(one, flow.network.activation, rows, flow.loss)
            return {name: REGISTRY[name](seen) for name in names}

        table = jax.lax.map(look, weights)
        found = {name: np.asarray(values) for name, values in table.items()}
        distance = _distances(weights, flow, finished, fitted=False)
        return found | {"distance": distance, "finished": finished}

    seeds = parameters["seeds"]
    checked = min(CHECKED, seeds)
    coarse, middle = (measured(checked, factor) for factor in (1.0, 1 / 3))
    arrays = measured(seeds, 1 / 9)
    failed = int(np.sum(~arrays["finished"]))
    return {
        **arrays,
        "coarse": coarse,
        "middle": middle,
        "seeds": seeds,
        "failed": failed,
    }


@computation("scaling/fresh_radii", **_STATED)
def fresh_radii(parameters, root):
    """Radius intervals of fresh samples, one case for each exponent's network."""
    import jax

    from jaxbias.robustness import radius
    from jaxbias.sweeps.keys import run_key

    lower, upper = [], []
    for exponent in parameters["exponents"]:
        setting = {**parameters, "exponent": exponent}
        weights, flow, finished = _train(setting, parameters["noise"], 1, 1.0, root)
        network = jax.tree.map(lambda leaf: leaf[0], weights)
        key = run_key(f"ledger-{root}", 0, "fresh")
        fresh = flow.data.sample(parameters["points"], key=key, dtype="float64")
        found = radius(
            network,
            fresh.inputs,
            fresh.labels,
            activation=flow.network.activation,
            centres=flow.data.centres(dtype="float64"),
        )
        lower.append(np.where(finished[0], found.lower, np.nan))
        upper.append(np.where(finished[0], found.upper, np.nan))
    return {
        "lower": np.array(lower),
        "upper": np.array(upper),
        "seeds": parameters["points"],
    }
