"""The feature-averaging experiments' attack: as published, and blind as derived."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias._checks import InputError
from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.networks.readouts import GroupArgmax, SummedLogits
from jaxbias.robustness import sphere_pgd

KEY = jax.random.key(11)
GROUPS = (1, 1, -1, -1)


def _loss(outputs, labels):
    if outputs.ndim == 1:
        return np.logaddexp(0.0, -labels * outputs)
    lead = outputs - outputs.max(1, keepdims=True)
    return np.log(np.exp(lead).sum(1)) - lead[np.arange(len(labels)), labels]


def _published(network, x, labels, starts, r, steps):
    """Steps of r/4 from the sphere, by numerical gradients."""
    moved = r * starts
    for _ in range(steps):
        slope = np.zeros_like(x)
        for k in range(x.shape[1]):
            h = 1e-6 * np.eye(x.shape[1])[k]
            up, down = network(x + moved + h), network(x + moved - h)
            slope[:, k] = _loss(up, labels) - _loss(down, labels)
        moved = moved + r / 4 * slope / np.linalg.norm(slope, axis=1, keepdims=True)
        size = np.linalg.norm(moved, axis=1, keepdims=True)
        moved = moved * np.minimum(1.0, r / np.maximum(size, 1e-300))
    return x + moved


@pytest.mark.parametrize(
    ("activation", "readout"),
    [
        (ReLU(), None),
        (PReLU(3.0), None),
        (PReLU(2.0), "argmax"),
        (ReLU(), GroupArgmax(GROUPS)),
    ],
    ids=str,
)
def test_the_same_as_the_published_loop(activation, readout):
    rng = np.random.default_rng(0)
    single = readout is None
    values = 0.3 * (rng.normal(size=12) if single else rng.normal(size=(12, 4)))
    weights = make(rng.normal(size=(12, 5)), values, 0.3 * rng.normal(size=12))
    x, radii = rng.normal(size=(25, 5)), [0.2, 0.5, 1.0]
    network = lambda z: forward(weights, activation, z)
    labels = np.where(network(x) > 0, 1, -1) if single else network(x).argmax(1)
    scored = None
    signs = np.array(GROUPS)[np.clip(labels, 0, 3)]
    if isinstance(readout, GroupArgmax):
        scored = (readout, signs)
    ours = sphere_pgd.broken(
        weights, activation, x, labels, radii, key=KEY, scored=scored
    )

    theirs = []
    for r, key in zip(radii, jax.random.split(KEY, 3), strict=True):
        gauss = np.asarray(jax.random.normal(key, x.shape, jnp.float64))
        starts = gauss / np.linalg.norm(gauss, axis=1, keepdims=True)
        outputs = network(_published(network, x, labels, starts, r, 7))
        if single:
            right = labels * outputs > 0
        elif scored is None:
            right = outputs.argmax(1) == labels
        else:
            right = np.array(GROUPS)[outputs.argmax(1)] == signs
        theirs.append(~right)
    np.testing.assert_array_equal(ours, theirs)
    assert 0.1 < ours.mean() < 1


def test_a_half_space_is_broken_beyond_its_distance():
    slope = np.array([3.0, -1.0, 0.5])
    weights = make(np.stack([slope, -slope]), np.array([1.0, -1.0]))
    x = np.random.default_rng(1).normal(size=(60, 3))
    f, radii = x @ slope, np.array([0.0, 0.2, 0.5, 1.0])
    distance = np.abs(f) / np.linalg.norm(slope)
    attack = lambda **more: sphere_pgd.broken(
        weights, ReLU(), x, np.sign(f), radii, key=KEY, **more
    )
    published, patient = attack(), attack(steps=200)
    within = distance < radii[:, None]
    clear = np.abs(distance - radii[:, None]) > 1e-9
    np.testing.assert_array_equal(patient[clear], within[clear])
    # Seven steps end at some angle to the normal, so they cannot break more.
    assert not (published & ~within).any()
    assert published.sum() > 0.8 * within.sum()
    assert not published[0].any()


def test_masked_beyond_what_any_classifier_withstands():
    """In units of the noise the ceiling is sqrt(d/2); at d = 3072 that is 39.2."""
    clusters, dim = 10, 3072
    member = np.arange(40) % clusters
    signs = np.where(np.arange(clusters) < 5, 1, -1)
    centres = np.sqrt(dim) * np.eye(clusters, dim)
    x = centres[member] + np.random.default_rng(0).normal(size=(40, dim))
    weights = make(0.1 * np.eye(clusters, dim), np.eye(clusters))
    radii = [36.0, 44.0, 58.0]
    as_in_paper = sphere_pgd.robust_accuracy(weights, ReLU(), x, member, radii, key=KEY)
    np.testing.assert_allclose(as_in_paper, [1.0, 1.0, 0.0], atol=0.03)
    groups = GroupArgmax(tuple(signs.tolist()))
    labels = signs[member]
    by_label = sphere_pgd.robust_accuracy(
        weights, ReLU(), x, member, radii, key=KEY, scored=(groups, labels)
    )
    # The cluster may fall to one of the same label.
    assert (by_label >= as_in_paper).all()
    assert by_label[2] > 0.2
    # Straight towards a centre of the other label all are broken before 44.
    away = np.where(signs[member] > 0, 5, 0)
    straight = (centres[away] - centres[member]) / np.sqrt(2 * dim)
    outputs = forward(weights, ReLU(), x + 43.0 * straight)
    assert (signs[outputs.argmax(1)] != labels).all()


def test_what_decides_need_not_be_what_is_climbed():
    # Summed logits tie where the two classes of each label cancel.
    weights = make(np.eye(4), np.eye(4))
    x, clusters = 2 * np.eye(4), np.arange(4)
    labels = np.array(GROUPS)
    attack = lambda readout, marks: sphere_pgd.broken(
        weights, ReLU(), x, clusters, [0.0], key=KEY, scored=(readout, marks)
    )
    assert not attack(SummedLogits(GROUPS), labels).any()
    assert attack(SummedLogits(GROUPS), -labels).all()
    np.testing.assert_array_equal(
        attack(GroupArgmax((1, -1, 1, -1)), labels)[0], [False, True, True, False]
    )


def test_each_radius_has_a_start_of_its_own_and_a_key_repeats():
    rng = np.random.default_rng(2)
    weights = make(rng.normal(size=(6, 3)), rng.normal(size=6))
    x = rng.normal(size=(200, 3))
    y = np.where(forward(weights, ReLU(), x) > 0, 1, -1)
    attack = lambda seed, radii: sphere_pgd.robust_accuracy(
        weights, ReLU(), x, y, radii, key=jax.random.key(seed), steps=1
    )
    once = attack(0, [0.5, 0.5 + 1e-9])
    np.testing.assert_array_equal(once, attack(0, [0.5, 0.5 + 1e-9]))
    assert once[0] != once[1]
    assert (once != attack(1, [0.5, 0.5 + 1e-9])).any()


@pytest.mark.parametrize(
    ("more", "helps"),
    [
        ({"radii": [0.2, 0.1]}, "increase"),
        ({"steps": 0}, "steps=1"),
        ({"step": -1.0}, "step=0"),
    ],
)
def test_bad_attacks_are_refused(more, helps):
    options = {"radii": [0.1], **more}
    weights = make(np.eye(2), np.array([1.0, -1.0]))
    with pytest.raises(InputError, match=helps):
        sphere_pgd.broken(
            weights,
            ReLU(),
            np.eye(2),
            np.ones(2),
            options.pop("radii"),
            key=KEY,
            **options,
        )
