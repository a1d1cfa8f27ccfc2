"""What an engine does with an experiment, in a few lines that tests can read."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.experiments.experiment import abstract, point_of
from jaxbias.experiments.fields import get_at


def point(experiment, factor=1.0):
    values = dict(zip(experiment.batched, point_of(experiment), strict=True))
    return {name: jnp.asarray(v) for name, v in (values | {"factor": factor}).items()}


def advance_through(template, drawn, state, shared, segments, begin=0):
    """States and outcomes at the end of every segment, by one program."""
    advance = jax.jit(template.advance)
    passed = []
    for end in segments:
        ends = jnp.asarray(begin, jnp.int32), jnp.asarray(end, jnp.int32)
        state, outcome = advance(drawn, state, ends, shared)
        passed.append((state, outcome))
        begin = end
    return passed


def run(experiment, key, padded=None, segments=None):
    """Observables over time, the last outcome and what is kept."""
    template, shared = abstract(experiment.template()), experiment.shared()
    if experiment.size is not None:
        padded = padded or get_at(experiment, experiment.size)
    draw = jax.jit(lambda key, point: template.draw(key, point, shared, padded))
    drawn = draw(key, point(experiment))
    state = jax.jit(template.start)(drawn, shared)
    passed = advance_through(
        template, drawn, state, shared, segments or template.segments
    )
    outcomes = [outcome for _, outcome in passed]
    seen = jax.tree.map(
        lambda *a: np.stack(list(map(np.asarray, a))),
        *[o.observables for o in outcomes],
    )
    return seen, outcomes[-1], template.kept(drawn, passed[-1][0], shared)


def together(experiments, keys, padded=None):
    """The same of several points, in one vmap."""
    template, shared = abstract(experiments[0].template()), experiments[0].shared()
    assert all(abstract(e.template()) == template for e in experiments)
    points = jax.tree.map(lambda *a: jnp.stack(a), *map(point, experiments))

    @jax.jit
    def lanes(keys, points, shared):
        def one(key, point):
            drawn = template.draw(key, point, shared, padded)
            state = template.start(drawn, shared)
            spans = np.stack([(0, *template.segments[:-1]), template.segments])
            ends = jnp.asarray(spans[0], jnp.int32), jnp.asarray(spans[1], jnp.int32)
            step = lambda state, ends: template.advance(drawn, state, ends, shared)
            state, outcomes = jax.lax.scan(step, state, ends)
            return outcomes, template.kept(drawn, state, shared)

        return jax.vmap(one)(keys, points)

    return lanes(keys, points, shared)
