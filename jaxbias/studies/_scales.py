"""How the end state moves with the scale of initialisation, at equal loss."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.dynamics.solve import solve
from jaxbias.dynamics.status import Status
from jaxbias.observables.equal_loss import at_loss, relative_difference
from jaxbias.observables.margin import loss
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key

_PROBES = 20


def end_states(
    flows: dict[float, GradientFlow],
    scales: Sequence[float],
    seeds: Sequence[int],
    level: float,
    times: np.ndarray,
    rtol: float,
    root: str,
    tick: Callable[[str], None],
) -> tuple[xr.Dataset, int]:
    """Relative L2 difference of outputs on fresh samples to the smallest scale's.

    Every scale starts from the same directions and sees the same data. Beside it stand
    the difference of each float32 run to its float64 run, and the numerical floor: the
    smallest scale's run against itself at a third of the tolerance.

    Returns:
        The table, and how many runs did not finish or never reached the loss.
    """
    exponents = list(flows)
    scales = sorted(scales, reverse=True)
    shape = (len(exponents), len(seeds), len(scales))
    moved, rounding = np.full(shape, np.nan), np.full(shape, np.nan)
    floor = np.full(shape[:2], np.nan)

    def measure(i: int) -> int:
        exponent, failed = exponents[i], 0
        state = _program(flows[exponent], times, level, root)
        for j, seed in enumerate(seeds):
            tick(f"initialisation scales, p = {exponent:g}, seed {seed}")
            ends = {}
            for dtype in ("float64", "float32"):
                for scale in scales:
                    ends[dtype, scale] = state[dtype](seed, scale, rtol)
            sharp = state["float64"](seed, scales[-1], rtol / 3)
            failed += sum(bool(np.isnan(end).any()) for end in (*ends.values(), sharp))
            reference = ends["float64", scales[-1]]
            floor[i, j] = relative_difference(reference, sharp)
            for k, scale in enumerate(scales):
                end = ends["float64", scale]
                moved[i, j, k] = relative_difference(end, reference)
                single = ends["float32", scale].astype(end.dtype)
                rounding[i, j, k] = relative_difference(single, end)
        return failed

    failed = sum(side_by_side(measure, range(len(exponents))))
    data = xr.Dataset(
        {
            "difference": (("exponent", "seed", "scale"), moved),
            "rounding": (("exponent", "seed", "scale"), rounding),
            "floor": (("exponent", "seed"), floor),
        },
        {
            "exponent": exponents,
            "seed": list(seeds),
            "scale": scales,
        },
        {"reference_scale": scales[-1], "equal_loss": level},
    )
    return data, failed


def _program(flow: GradientFlow, times: np.ndarray, level: float, root: str):
    """For each precision: (seed, scale, tolerance) to outputs at the given loss."""
    clusters = flow.data
    assert isinstance(clusters, OrthonormalClusters)
    probes = clusters.sample(
        _PROBES * clusters.clusters, key=run_key(root, 0, "probes"), dtype="float64"
    )
    grid = tuple(map(float, times))

    def compiled(dtype: str):
        inputs = probes.inputs.astype(dtype)

        def outputs(snapshot: Snapshot):
            scores = inputs @ snapshot.weights().T
            responses = snapshot.activation.response(scores, snapshot.norms)
            return responses @ snapshot.output

        @eqx.filter_jit
        def solved(key, scale, rtol):
            problem = flow.problem(key, scale=scale, dtype=dtype)
            observe = {"loss": loss, "outputs": outputs}
            run = solve(
                problem, grid, observe, Adaptive(rtol, accuracy="final outputs")
            )
            end = at_loss(run.observables["loss"], run.observables["outputs"], level)
            return jnp.where(run.status == Status.FINISHED, end, jnp.nan)

        def state(seed: int, scale: float, rtol: float):
            tolerance = jnp.asarray(rtol, dtype)
            return solved(run_key(root, seed), jnp.asarray(scale, dtype), tolerance)

        return state

    return {dtype: compiled(dtype) for dtype in ("float64", "float32")}
