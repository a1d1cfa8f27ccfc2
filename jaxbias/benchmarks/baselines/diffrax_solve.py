"""One call of diffrax, shared by its two baselines."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

# A setting that needs more steps is far from the fastest one.
_MAX_STEPS = 1000
_STAGES = {"Heun": 2, "Bosh3": 3, "Tsit5": 6, "Dopri5": 6}
# Loosest first: the search takes the first of each that meets the target.
TOLERANCES = {
    "Bosh3": (1.0, 0.5, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4),
    "Tsit5": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4),
    "Dopri5": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4),
    "Heun": (1.0, 0.5, 0.3, 0.1, 0.03, 0.01, 0.003),
}


def integrate(
    velocity: Callable[[Any], Any],
    start: Any,
    horizon: float,
    setting: dict,
    norm: Callable[[Any], Any] | None = None,
    record: tuple[Any, Callable[[Any], Any]] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Final state, whether it was reached, evaluations, and what was recorded.

    ``record`` is times and a function of the state there.
    """
    # Times of the state's precision: from Python floats diffrax makes float64 ones, and
    # with them float64 stages.
    dtype = jax.tree.leaves(start)[0].dtype
    begin, end, first = (jnp.asarray(t, dtype) for t in (0.0, horizon, 0.1))
    more: dict[str, Any] = {} if norm is None else {"norm": norm}
    saved = [diffrax.SubSaveAt(t1=True)]
    if record is not None:
        times, measure = record
        saved.append(
            diffrax.SubSaveAt(
                ts=jnp.asarray(times, dtype), fn=lambda _, state, __: measure(state)
            )
        )
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda _, state, __: velocity(state)),
        getattr(diffrax, setting["solver"])(),
        t0=begin,
        t1=end,
        dt0=first,
        y0=start,
        saveat=diffrax.SaveAt(subs=saved),
        stepsize_controller=diffrax.PIDController(
            # Far below the scale of the start, or the plateau is integrated blind.
            rtol=setting["rtol"],
            atol=1e-12,
            pcoeff=0.4,
            icoeff=0.3,
            **more,
        ),
        max_steps=_MAX_STEPS,
        throw=False,
    )
    assert solution.ys is not None
    ends, *recorded = solution.ys
    state = jax.tree.map(lambda leaf: leaf[0], ends)
    steps = jnp.asarray(solution.stats["num_steps"])
    done = solution.result == diffrax.RESULTS.successful
    evaluations = steps * _STAGES[setting["solver"]]
    return state, done, evaluations, recorded[0] if recorded else None
