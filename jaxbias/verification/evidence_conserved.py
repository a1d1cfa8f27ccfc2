"""Conserved quantities on explicit weights; descent beside the flow."""

import functools
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation

_STATED = {"clock": "per_cluster_mean", "output_layer": "trained, balanced"}


def _flow(parameters, exponent: float, loss: str, activation: Any = None):
    from jaxbias import losses
    from jaxbias.data import OrthonormalClusters
    from jaxbias.dynamics import GradientFlow
    from jaxbias.networks import PReLU, ReLU, TwoLayer, balanced

    if activation is None:
        activation = ReLU() if exponent == 1 else PReLU(exponent)
    clusters = OrthonormalClusters(
        dim=parameters["dim"],
        clusters=parameters.get("clusters", 2),
        positive=parameters.get("positive", 1),
        noise=parameters.get("noise", 0.3),
    )
    network = TwoLayer(parameters["width"], activation, balanced(parameters["scale"]))
    return GradientFlow(
        network,
        clusters,
        parameters["samples"],
        loss=getattr(losses, loss),
        clock="per_cluster_mean",
    )


@computation("conserved/laws", **_STATED)
def laws(parameters, root):
    """Largest relative drift of each quantity, one entry a case.

    Weights come from diffrax at tight tolerance, which knows no conservation law. The
    regular power is there for its own balance, p v^2 - |w|^2.
    """
    import jax

    from jaxbias.dynamics.reference import reference
    from jaxbias.networks import Power
    from jaxbias.sweeps.keys import run_key

    found: dict[str, list[float]] = {}
    solve = jax.jit(lambda p: reference(p, [parameters["time"]], rtol=1e-11))
    for exponent, loss, regular in parameters["cases"]:
        flow = _flow(parameters, exponent, loss, Power(exponent) if regular else None)
        problem = flow.problem(run_key(f"ledger-{root}", 0), dtype="float64")
        end = jax.tree.map(lambda leaf: np.asarray(leaf)[0], solve(problem))
        for name, drift in _drifts(problem, end, exponent, regular).items():
            found.setdefault(name, []).append(drift)
    return {name: np.array(drifts) for name, drifts in found.items()}


def _drifts(problem, end, exponent: float, regular: bool) -> dict[str, float]:
    start = problem.initial
    rows = np.asarray(problem.dataset.inputs)
    basis = np.linalg.svd(rows, full_matrices=True)[2][len(rows) :]

    def quantities(weights) -> dict[str, np.ndarray]:
        hidden, output = np.asarray(weights.hidden), np.asarray(weights.output)
        norms = np.linalg.norm(hidden, axis=1)
        factor = exponent if regular else 1.0
        off = hidden @ basis.T
        share = 1.0 if regular else norms[:, None] ** (exponent - 1)
        swapped = 1.0 if regular else exponent
        return {
            "balance-law": norms**2 - factor * output**2,
            "balance-swapped": norms**2 - swapped * output**2,
            "span-law": off * share,
            "span-frozen": off if not regular else off * norms[:, None],
            "norm": norms,
        }

    before, after = quantities(start), quantities(end)
    size = np.max(np.asarray(end.output) ** 2)
    # The balance is compared with the size that v^2 has grown to, the others with
    # what they began as.
    scales = {
        name: size if name.startswith("balance") else np.max(np.abs(before[name]))
        for name in before
    }
    return {
        name: float(np.max(np.abs(after[name] - before[name])) / scales[name])
        for name in before
    }


@functools.cache
def _ends(items: tuple, root: int) -> dict[str, np.ndarray]:
    """Flow and descents of every seed and step; shared by the claims of one p."""
    import jax

    from jaxbias.dynamics import Adaptive, solve
    from jaxbias.networks.weights import predict
    from jaxbias.sweeps.keys import run_key

    parameters = dict(items)
    steps, seeds = parameters["steps"], parameters["seeds"]
    exponent, time = parameters["exponent"], parameters["time"]
    flow = _flow(parameters, exponent, "exponential")
    # Far below the error of the shortest step; at p = 1 sliding costs the order.
    rtol = 1e-8 if exponent > 1 else 2e-6
    integrator = Adaptive(rtol, max_steps=10**6, accuracy="final outputs")

    @jax.jit
    def flowed(key):
        problem = flow.problem(key, dtype="float64")
        run = solve(problem, [time], {}, integrator)
        outputs = predict(run.final, run.activation, problem.dataset.inputs)
        return outputs, run.status

    error, drift = np.full((2, seeds, len(steps)), np.nan)
    for seed in range(seeds):
        key = run_key(f"ledger-{root}", seed)
        exact, status = flowed(key)
        if int(status) == 0:
            for s, rate in enumerate(steps):
                outputs, drift[seed, s] = _descended(flow, round(time / rate))(
                    key, rate
                )
                gap = np.linalg.norm(outputs - exact)
                error[seed, s] = gap / np.linalg.norm(exact)
    return {"error": error, "drift": drift, "step": np.array(steps)}


@functools.cache
def _descended(flow, count: int):
    import jax
    import jax.numpy as jnp

    from jaxbias.dynamics import Descent, descend
    from jaxbias.networks.weights import predict

    @jax.jit
    def run(key, rate):
        problem = flow.problem(key, dtype="float64")
        end = descend(problem, Descent(rate), [count], key=key).final
        outputs = predict(end, problem.activation, problem.dataset.inputs)
        gap = end.norms() ** 2 - end.output**2
        return outputs, jnp.max(jnp.abs(gap)) / jnp.max(end.output**2)

    return run


def _told(steps: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    failed = int(np.sum(np.isnan(errors).any(axis=1)))
    return {"step": steps, "error": errors, "seeds": len(errors), "failed": failed}


def _shared(parameters, root) -> dict[str, np.ndarray]:
    return _ends(tuple(sorted(parameters.items())), root)


@computation("conserved/descent", **_STATED)
def descent(parameters, root):
    """Relative distance of descent's outputs from the flow's, at equal clocks."""
    found = _shared(parameters, root)
    return _told(found["step"], found["error"])


@computation("conserved/drift", **_STATED)
def drift(parameters, root):
    """Largest departure from balance over the largest v^2, at the final time."""
    found = _shared(parameters, root)
    return _told(found["step"], found["drift"])


@computation("conserved/factorisation")
def factorisation(parameters, root):
    """W = U U^T from scipy's integration of U' = (Y - U U^T) U, at three tolerances.

    A start of 1e-10 grows by its inverse, and the solver's error with it: ``floor`` is
    then what counts as rounding.
    """
    del root
    target, factor = parameters["target"], parameters["factor"]
    times = parameters["times"]

    def field(_, y):
        u = y.reshape(factor.shape)
        return ((target - u @ u.T) @ u).ravel()

    values = []
    for rtol in (1e-11, 1e-12, 1e-13):
        run = solve_ivp(
            field,
            (0.0, times[-1]),
            factor.ravel(),
            method="DOP853",
            t_eval=times,
            rtol=rtol,
            atol=1e-14,
        )
        factors = run.y.T.reshape(-1, *factor.shape)
        values.append(np.array([u @ u.T for u in factors]).ravel())
    found = refined(*values, floor=parameters.get("floor", 1e-11))
    error = np.where(found.converged, found.error, np.inf)
    return {"measured": found.value, "error": error}
