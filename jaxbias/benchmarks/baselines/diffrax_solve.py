"""One call of diffrax, shared by its two baselines."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

# A setting that needs more steps is far from the fastest one.
_MAX_STEPS = 400
_STAGES = {"Heun": 2, "Bosh3": 3, "Tsit5": 6, "Dopri5": 6}
# Loosest first: the search takes the first of each that meets the target.
TOLERANCES = {
    "Bosh3": (1.0, 0.5, 0.3, 0.1, 0.03, 0.01, 0.003),
    "Tsit5": (1.0, 0.3, 0.1, 0.03, 0.01),
    "Dopri5": (1.0, 0.3, 0.1, 0.03, 0.01),
    "Heun": (1.0, 0.5, 0.3, 0.1, 0.03),
}


def integrate(
    velocity: Callable[[Any], Any],
    start: Any,
    horizon: float,
    setting: dict,
    norm: Callable[[Any], Any] | None = None,
) -> tuple[Any, Any, Any]:
    """Final state, whether it was reached, evaluations of the right-hand side."""
    # Times of the state's precision: from Python floats diffrax makes float64 ones, and
    # with them float64 stages.
    dtype = jax.tree.leaves(start)[0].dtype
    begin, end, first = (jnp.asarray(t, dtype) for t in (0.0, horizon, 0.1))
    more: dict[str, Any] = {} if norm is None else {"norm": norm}
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda _, state, __: velocity(state)),
        getattr(diffrax, setting["solver"])(),
        t0=begin,
        t1=end,
        dt0=first,
        y0=start,
        saveat=diffrax.SaveAt(t1=True),
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
    state = solution.ys
    assert state is not None
    state = jax.tree.map(lambda leaf: leaf[0], state)
    steps = jnp.asarray(solution.stats["num_steps"])
    done = solution.result == diffrax.RESULTS.successful
    return state, done, steps * _STAGES[setting["solver"]]
