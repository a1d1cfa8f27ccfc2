"""From a network and points to the blocks of the attack."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxbias.networks.activations import Activation
from jaxbias.robustness._blocks import blocks, product
from jaxbias.robustness._geometry import Found, Problem
from jaxbias.robustness._lanes import difference
from jaxbias.robustness._normal_form import NormalForm, Sites, scaled
from jaxbias.robustness._reading import Reading, opposing
from jaxbias.robustness.minimum_norm import Search, attack

# Neurons along whose rows anchors lie.
_NEURONS = 64
# What attacks do without: 1 - cosine, and share of all amplitudes.
_LIKENESS, _NEGLIGIBLE = 1e-4, 1e-9

Box = tuple[Float[np.ndarray, "sample feature"], Float[np.ndarray, "sample feature"]]


class Attacked(NamedTuple):
    """The network that is attacked, see :func:`thinned`, and its coordinates.

    Attributes:
        reading: its read-out.
        rows: in coordinates, filled up to few sizes.
        basis: the inputs that coordinates stand for; None where they are inputs.
        directions: of length 1 in the attack's norm, along rows.
        neurons: whose rows they are.
    """

    reading: Reading
    rows: Float[np.ndarray, "neuron coordinate"]
    basis: Float[np.ndarray, "coordinate feature"] | None
    directions: Float[np.ndarray, "direction coordinate"]
    neurons: Int[np.ndarray, " direction"]


class Tried(NamedTuple):
    """Steps that may break points, of one block."""

    lane: Int[np.ndarray, " lane"]
    found: Found


def thinned(form: NormalForm, size: int | None = None) -> NormalForm:
    """A network near a given one, with one neuron for each group of parallel ones.

    What it suggests to an attack is confirmed by the network itself.

    Args:
        form: the network; one with several outputs is returned as it is.
        size: how many neurons to return, idle ones included.
    """
    if form.kin is None:
        return form
    group = form.kin.group(_LIKENESS)
    total = np.abs(form.amplitudes)
    member = np.zeros((group.max() + 1, len(group)))
    member[group, np.arange(len(group))] = total
    mass = member.sum(1)
    keep = mass > _NEGLIGIBLE * mass.sum()
    keep[:1] |= not keep.any()
    member, mass = member[keep], mass[keep]
    mean = member / np.where(mass > 0, mass, 1.0)[:, None]
    rows, offsets = mean @ form.rows, mean @ form.offsets
    length = np.sqrt((rows**2).sum(1))
    # A neuron that reads no input has no length.
    safe = np.where(length > 0, length, 1.0)
    signs = np.sign(mean @ np.sign(form.amplitudes))
    idle = 0 if size is None else size - len(mass)
    return replace(
        form,
        rows=np.pad(rows / safe[:, None], ((0, idle), (0, 0))),
        offsets=np.pad(offsets / safe, (0, idle)),
        amplitudes=np.pad(signs * mass * safe**form.activation.degree, (0, idle)),
    )


def attacked(
    read: Reading, order: float | int, boxed: bool, size: int | None = None
) -> Attacked:
    """The network that stands for one in attacks, and coordinates of its steps."""
    read = replace(read, form=thinned(read.form, size))
    form = read.form
    rows, basis = form.rows, None
    # A box is one of inputs.
    if not math.isinf(order) and not boxed and len(rows) < rows.shape[1]:
        basis = np.linalg.qr(rows.T)[0].T
        rows = rows @ basis.T
    sizes = np.abs(form.amplitudes).reshape(len(rows), -1).max(1)
    neurons = np.argsort(-sizes, kind="stable")[:_NEURONS]
    wide = rounded(len(rows)) - len(rows)
    deep = rounded(rows.shape[1]) - rows.shape[1]
    rows = np.pad(rows, ((0, wide), (0, deep)))
    # Idle neurons have no row to go along.
    neurons = np.pad(neurons, (0, rounded(len(neurons)) - len(neurons)), mode="edge")
    directions = rows[neurons]
    if math.isinf(order):
        directions = np.sign(directions)
    return Attacked(read, rows, basis, directions, neurons.astype(np.int32))


class Duels(NamedTuple):
    """The scalar problems of an attack: a point, and one rival of its own class."""

    point: Int[np.ndarray, " duel"]
    amplitudes: Float[np.ndarray, "duel neuron"]
    constants: Float[np.ndarray, " duel"]


def duels(read: Reading, sites: Sites, labels: Int[np.ndarray, " sample"]) -> Duels:
    """One for each point and rival; where classes stand for labels, of the leader."""
    form = read.form
    point, own, rival = np.arange(len(labels)), labels, None
    if form.classes is not None:
        mine, others = opposing(read, labels)
        with jax.enable_x64(True):
            scores = jnp.asarray(form.scores(sites))
            heights = np.asarray(form.activation.value(scores))
        heights = product(heights, form.amplitudes) + form.constants(sites)
        leads = np.argmax(np.where(mine, heights, -np.inf), axis=1)
        point, rival = np.nonzero(others)
        own = leads[point]
    some = sites.take(point)
    amplitudes, levels = difference(form, some.exponent, own, rival)
    if form.scaled_constant:
        squares = (some.inputs**2).sum(1) + form.extra(some.exponent)
        levels = levels * squares ** ((form.activation.degree - 1) / 2)
    return Duels(point, amplitudes, levels)


def tries(
    network: Attacked,
    sites: Sites,
    labels: Int[np.ndarray, " sample"],
    centres: Float[np.ndarray, "cluster feature"] | None,
    box: Box | None,
    options: tuple[Activation, float, Search],
) -> Iterator[Tried]:
    """The attack on every point, block by block; steps are changes of the inputs.

    Args:
        network: what is attacked.
        sites: the points.
        labels: of the points.
        centres: further anchors, in the unit of the inputs.
        box: lowest and highest steps.
        options: the activation, the norm, and how hard to try.
    """
    form, wide = network.reading.form, len(network.rows)
    what = duels(network.reading, sites, labels)
    scores = form.scores(sites)
    fill = ((0, 0), (0, wide - scores.shape[1]))
    deep = network.rows.shape[1]
    across = lambda a: np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, deep - a.shape[-1])])
    for where, index in blocks(len(what.point)):
        point = what.point[index]
        problem = Problem(
            rows=network.rows,
            amplitudes=np.pad(what.amplitudes[index], fill),
            scores=np.pad(scores[point], fill),
            constants=what.constants[index],
            low=None if box is None else across(box[0][point]),
            high=None if box is None else across(box[1][point]),
            directions=network.directions,
            neurons=network.neurons,
            places=across(_places(network, sites.take(point), centres)),
        )
        with jax.enable_x64(True):
            found = Found(*map(np.asarray, attack(problem, *options)))
        if network.basis is None:
            steps = found.steps[..., : sites.inputs.shape[1]]
        else:
            flat = found.steps[..., : len(network.basis)]
            steps = np.stack([product(one, network.basis) for one in flat])
        count = where.stop - where.start
        yield Tried(
            point[:count],
            Found(steps[:, :count], found.flipped[:, :count], found.start[:, :count]),
        )


def _places(
    network: Attacked, sites: Sites, centres: np.ndarray | None
) -> Float[np.ndarray, "point place coordinate"]:
    """Steps to the centres in coordinates, filled up with none."""
    features = sites.inputs.shape[1]
    inner = features if network.basis is None else len(network.basis)
    if centres is None:
        return np.zeros((len(sites.inputs), 1, inner))
    found = np.zeros((len(sites.inputs), rounded(len(centres)), inner))
    for number, centre in enumerate(centres):
        steps = scaled(centre[None], -sites.exponent[:, None]) - sites.inputs
        if network.basis is not None:
            steps = product(steps, network.basis.T)
        found[:, number] = steps
    return found


def rounded(size: int) -> int:
    """The next power of two from 8 on; above 64, the next eighth of one."""
    unit = 1 << max(size - 1, 7).bit_length()
    return unit if unit <= 64 else -(-size // (unit // 16)) * (unit // 16)
