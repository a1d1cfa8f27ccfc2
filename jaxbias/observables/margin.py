"""Loss, outputs and margins on the training rows."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias._axes import SAMPLE
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.observables._registry import register


def least_loss(snapshot: Snapshot) -> Float[Array, ""]:
    """A millionth of the rows' weights, below which a loss is as good as 0."""
    return 1e-6 * jnp.sum(snapshot.sample_weights)


@register(
    description="training loss, with the weights of the flow's clock", scale=least_loss
)
def loss(snapshot: Snapshot) -> Float[Array, ""]:
    r"""$\sum_i \omega_i\,\ell(y_i, f(x_i))$ with the clock's weights $\omega_i$."""
    values = snapshot.loss.value(snapshot.outputs(), snapshot.labels)
    return jnp.sum(snapshot.sample_weights * values)


@register(SAMPLE, description="margin of each training row")
def margins(snapshot: Snapshot) -> Float[Array, " sample"]:
    r"""$y_i f(x_i)$; with several outputs $f_{y_i}$ minus the best other one."""
    outputs, labels = snapshot.outputs(), snapshot.labels
    if outputs.ndim == 1:
        return labels * outputs
    classes = jnp.arange(outputs.shape[1], dtype=labels.dtype)
    own = classes[None, :] == labels[:, None]
    zero = jnp.zeros_like(outputs)
    least = jnp.full_like(outputs, -jnp.inf)
    rival = jnp.max(jnp.where(own, least, outputs), axis=1)
    return jnp.sum(jnp.where(own, outputs, zero), axis=1) - rival


def largest_margin(snapshot: Snapshot) -> Float[Array, ""]:
    """The largest of the margins' sizes."""
    return jnp.max(jnp.abs(margins(snapshot)))


@register(description="smallest margin of the training rows", scale=largest_margin)
def minimum_margin(snapshot: Snapshot) -> Float[Array, ""]:
    """The least of :func:`margins`; positive iff every row is classified correctly."""
    return jnp.min(margins(snapshot))
