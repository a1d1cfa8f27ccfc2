"""How well the conservation law of balancedness holds."""

from jaxtyping import Array, Float

from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.observables._registry import register, unit_scale


@register(
    description="relative error of |w|^2 = k v^2 + c after recovering W",
    scale=unit_scale,
)
def balance_error(snapshot: Snapshot) -> Float[Array, ""]:
    r"""$\max_j|\,\|W_j\|^2/(k v_j^2 + c_j) - 1\,|$, c of time 0; k = 1, of powers p.

    See :meth:`Snapshot.balance_error`.
    """
    return snapshot.balance_error()
