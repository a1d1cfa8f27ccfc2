"""Early alignment in the plane (min-mallada-vidal-2024): two phases, and separability.

Times are iterations of gradient descent on the summed exponential loss, whose clock
runs at ``rate`` an iteration. Angles are in degrees.
"""

import itertools
from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.studies._plane import (
    CELLS,
    cells,
    degrees,
    programs,
    rates,
    toy_data,
    two_points,
)
from jaxbias.sweeps.keys import run_key

LAYERS = ("both", "first")


def two_phases(
    *,
    width: int,
    scale: float,
    rate: float,
    iterations: int,
    shown: Sequence[int],
    seeds: Sequence[int],
    root: str,
    tick: Callable[[str], None],
) -> xr.Dataset:
    r"""Turning and growth of ReLU neurons, with both layers or the first alone trained.

    Turning is $\sum_j \|P_\perp(w_j)\nabla_j L\|/\|w_j\|$ and growth
    $\sum_j \frac{d}{dt}\|w_j\|^2 = -2\sum_j\langle w_j, \nabla_j L\rangle$ of the flow,
    at the weights of the descent. With the first layer alone $v_j = \pm 1$ stays.

    The data are four points of our own (the paper follows both rates on digits), and
    the start is balanced, as in its theorems, so that signs of $v_j$ stay.

    Args:
        width: hidden neurons.
        scale: size of the initial entries; the start is balanced.
        rate: step size.
        iterations: steps.
        shown: iterations (at most ``iterations``) whose directions will be drawn.
        seeds: one descent of each kind for each.
        root: of the runs' keys.
        tick: called before each part.

    Returns:
        Over (layers, seed, iteration): ``turning``, ``growth``, ``loss``; ``direction``
        of every neuron at the shown iterations of the descent with both layers; the
        data; and the arcs of directions in which all samples of one class alone are
        active, or none is.

    References:
        min-mallada-vidal-2024, numerical experiments.
    """
    dataset = toy_data()
    even = np.linspace(0, iterations, 121).astype(int)
    early = np.geomspace(1, iterations, 60).astype(int)
    iteration = np.unique(np.concatenate([even, early, np.asarray(shown, int)]))
    places = np.searchsorted(iteration, shown)
    shape = (len(LAYERS), len(seeds), len(iteration))
    found = {name: np.full(shape, np.nan) for name in ("turning", "growth", "loss")}
    direction = np.full((len(seeds), len(shown), width), np.nan)
    sign = np.full((len(seeds), width), np.nan)
    failed = 0
    for i, output in enumerate(("trained", "frozen")):
        network = TwoLayer(width, init=balanced(scale), output=output)
        draw, follow = programs(GradientFlow(network, dataset, clock="sum"), rate)
        for j, seed in enumerate(seeds):
            tick(f"two phases, {LAYERS[i]} trained, seed {seed}")
            problem = draw(run_key(root, seed))
            if output == "frozen":
                unit = jnp.sign(problem.initial.output)
                problem = eqx.tree_at(lambda p: p.initial.output, problem, unit)
            path = follow(problem, iteration)
            failed += not path.finished
            turning, growth = rates(path.hidden, path.velocity)
            found["turning"][i, j], found["growth"][i, j] = turning, growth
            found["loss"][i, j] = path.loss
            if output == "trained":
                direction[j] = degrees(path.hidden[places])
                sign[j] = np.sign(path.output[0])
    dims = ("layers", "seed", "iteration")
    arcs = cells(np.asarray(dataset.inputs), np.asarray(dataset.labels))
    return xr.Dataset(
        {
            **{name: (dims, values) for name, values in found.items()},
            "direction": (("seed", "shown", "neuron"), direction),
            "sign": (("seed", "neuron"), sign),
            "arc": (("cell", "end"), arcs),
            "sample_angle": ("sample", degrees(np.asarray(dataset.inputs))),
            "label": ("sample", np.asarray(dataset.labels)),
        },
        {
            "layers": list(LAYERS),
            "seed": list(seeds),
            "iteration": iteration,
            "shown": list(shown),
            "cell": list(CELLS),
        },
        {"rate": rate, "scale": scale, "unfinished": failed},
    )


def separability(
    *,
    angles: Sequence[float],
    width: int,
    scale: float,
    rate: float,
    iterations: int,
    every: int,
    seeds: Sequence[int],
    root: str,
    tick: Callable[[str], None],
) -> xr.Dataset:
    r"""Two positive samples, $x_1=(1,0)$ and $x_2=(\sin\theta,\cos\theta)$.

    As $\mu=\sin\theta\to 0$ a neuron that starts active on one sample turns to it and
    takes a time of order $\ln(1/\theta)$ to meet the other. At 0 it never does: it ends
    at its sample, and only neurons active on both, which end at $x_+ = x_1 + x_2$,
    are fast enough to grow before the data are fitted.

    Args:
        angles: the values of $\theta$, in radians.
        width: hidden neurons, of which about half have a positive output weight.
        scale: size of the initial entries; the start is balanced and shared by all
            angles.
        rate: step size.
        iterations: steps; a multiple of ``every``.
        every: steps between records.
        seeds: one descent at each angle for each.
        root: of the runs' keys.
        tick: called before each part.

    Returns:
        Over (separation, seed, neuron): the ``sign`` of the output weight and how many
        samples are active at first; with iteration: the ``direction`` from $x_1$
        toward $x_2$ and the ``contribution`` $|v_j|\|w_j\|$.

    References:
        min-mallada-vidal-2024, numerical experiments.
    """
    iteration = np.arange(0, iterations + 1, every)
    runs = (len(angles), len(seeds), width)
    sign, active = np.full(runs, np.nan), np.full(runs, np.nan)
    direction = np.full((*runs, len(iteration)), np.nan)
    contribution = direction.copy()
    network = TwoLayer(width, init=balanced(scale))
    datasets = [two_points(angle) for angle in angles]
    draw, follow = programs(GradientFlow(network, datasets[0], clock="sum"), rate)
    failed = 0
    for (j, seed), (i, dataset) in itertools.product(
        enumerate(seeds), enumerate(datasets)
    ):
        tick(f"separability, angle {angles[i]:g}, seed {seed}")
        problem = draw(run_key(root, seed))
        path = follow(eqx.tree_at(lambda p: p.dataset, problem, dataset), iteration)
        failed += not path.finished
        first = path.hidden[0]
        sign[i, j] = np.sign(path.output[0])
        active[i, j] = (first @ np.asarray(dataset.inputs).T > 0).sum(axis=1)
        direction[i, j] = degrees(path.hidden).T
        sizes = np.abs(path.output) * np.linalg.norm(path.hidden, axis=2)
        contribution[i, j] = sizes.T
    dims = ("separation", "seed", "neuron")
    return xr.Dataset(
        {
            "sign": (dims, sign),
            "active": (dims, active),
            "direction": ((*dims, "iteration"), direction),
            "contribution": ((*dims, "iteration"), contribution),
        },
        {"separation": list(angles), "seed": list(seeds), "iteration": iteration},
        {"rate": rate, "scale": scale, "unfinished": failed},
    )
