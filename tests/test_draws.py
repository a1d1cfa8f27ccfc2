"""Random numbers that follow nothing but the key: JAX's by default, pinned for good."""

import ast
import contextlib
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxbias as jb
from jaxbias import _draws
from jaxbias._checks import InputError
from jaxbias.dynamics.coreset import coreset
from jaxbias.robustness import apgd, sphere_pgd
from jaxbias.robustness.multistart import scattered

ROOT = pathlib.Path(__file__).parents[1]
NAMES = ("normal", "uniform", "split", "permutation", "fold_in")


@contextlib.contextmanager
def other_streams():
    """What a user may set: the other stream of threefry, another default generator."""
    with jax.threefry_partitionable(False), jax.default_prng_impl("rbg"):
        yield


def key(seed):
    return jax.random.key(seed, impl="threefry2x32")


def bits(tree):
    leaves = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(tree)
    ]
    return [(str(x.dtype), x.shape, np.asarray(x).tobytes()) for x in leaves]


DRAWS = {
    "normal": lambda draw, k: draw.normal(k, (3, 5), jnp.float32),
    "normal64": lambda draw, k: draw.normal(k, (4,), jnp.float64),
    "empty": lambda draw, k: draw.normal(k, (0, 2), jnp.float32),
    "one": lambda draw, k: draw.normal(k, (), jnp.float32),
    "uniform": lambda draw, k: draw.uniform(k, (2, 3, 2), jnp.float32, -1, 1),
    "uniform64": lambda draw, k: draw.uniform(k, (7,), jnp.float64),
    "split": lambda draw, k: draw.split(k, 5),
    "two": lambda draw, k: draw.split(k),
    "permutation": lambda draw, k: draw.permutation(k, 500),
    "rows": lambda draw, k: draw.permutation(k, jnp.arange(12.0).reshape(6, 2)),
    "fold_in": lambda draw, k: draw.fold_in(k, 2**32 - 1),
    "mapped": lambda draw, k: jax.vmap(
        lambda i: draw.normal(draw.fold_in(k, i), (6,), jnp.float32)
    )(jnp.arange(4)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_every_draw_is_that_of_jax_by_default_and_stays_it(name):
    draw = DRAWS[name]
    default = bits(draw(jax.random, key(11)))
    # Compiled as a whole, a product and a sum may be rounded once.
    fused = bits(jax.jit(lambda k: draw(jax.random, k))(key(11)))
    assert bits(draw(_draws, key(11))) == default
    with other_streams():
        assert bits(draw(_draws, key(11))) == default
        assert bits(jax.jit(lambda k: draw(_draws, k))(key(11))) == fused
        follows = bits(draw(jax.random, key(11))) != default
    # Else this test would not see a draw that is not pinned.
    assert follows is (name not in ("fold_in", "empty"))


def test_numbers_do_not_follow_a_new_version_of_jax():
    drawn = _draws.normal(_draws.seed_key(7), (4,), jnp.float32)
    known = [0.45123515, 1.9534509, -0.51623946, -0.1409403]
    np.testing.assert_allclose(drawn, np.float32(known), rtol=1e-6)
    words = jax.random.key_data(_draws.split(_draws.seed_key(7)))
    assert words.tolist() == [[3625411723, 1954958720], [195045567, 4062205631]]


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_a_seed_is_the_key_that_jax_makes_of_it(seed):
    assert bits(_draws.seed_key(seed)) == bits(jax.random.key(seed))


def problem(k):
    clusters = jb.data.OrthonormalClusters(20, 4, 2, 0.1, rotated=True)
    network = jb.networks.TwoLayer(6, init=jb.networks.balanced(1e-2))
    flow = jb.dynamics.GradientFlow(network, clusters, samples=8)
    return flow.problem(k)


@functools.cache
def known():
    return problem(key(0))


def attacked(attack, k):
    drawn = known()
    points = drawn.dataset.inputs, drawn.dataset.labels, [0.1, 0.2]
    return attack.broken(drawn.initial, drawn.activation, *points, key=k, steps=2)


def descended(k):
    flow = jb.dynamics.GradientFlow(
        jb.networks.TwoLayer(6), jb.data.OrthonormalClusters(20, 4, 2, 0.1), samples=8
    )
    rule = jb.dynamics.Descent(rate=0.1, batch=4)
    return jb.gradient_descent(flow, descent=rule, steps=[3], key=k).final


ENTRIES = {
    "clusters": lambda k: jb.data.OrthonormalClusters(
        6, 3, 1, 0.1, rotated=True, sizes="random"
    ).sample(9, key=k),
    "mixture": lambda k: jb.data.ClusterMixture(6, 3, 1, overlap=0.1).sample(9, key=k),
    "centres": lambda k: jb.data.OrthonormalClusters(
        6, 3, 1, 0.1, rotated=True
    ).centres(k),
    "network": lambda k: jb.networks.TwoLayer(4).draw(k, 5),
    "problem": problem,
    "coreset": lambda k: coreset(known(), 4, key=k),
    "descent": descended,
    "apgd": lambda k: attacked(apgd, k),
    "sphere": lambda k: attacked(sphere_pgd, k),
    "scattered": lambda k: scattered(np.ones((2, 3)), 0.5, 2, key=k),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_key_of_another_generator_is_refused_in_one_line(name):
    with pytest.raises(InputError, match="generator 'rbg'.*threefry2x32") as error:
        ENTRIES[name](jax.random.key(0, impl="rbg"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (0, "key=0: it is not one key"),
        (None, "key=None"),
        (np.zeros(3), r"shape \(3,\) and type float64"),
        (jax.random.split(jax.random.key(0), 3), r"shape \(3,\)"),
        (jax.random.key(0, impl="unsafe_rbg"), "generator 'unsafe_rbg'"),
        (jax.random.key_data(jax.random.key(0, impl="rbg")), r"shape \(4,\)"),
    ],
)
def test_what_is_no_key_is_refused(given, told):
    for draw in (_draws.fold_in, _draws.split, _draws.permutation):
        with pytest.raises(InputError, match=told):
            draw(given, 2)


def test_the_raw_words_of_a_key_are_that_key():
    with other_streams():
        raw = _draws.permutation(jax.random.key_data(key(3)), 9)
        assert bits(raw) == bits(_draws.permutation(key(3), 9))


@pytest.mark.parametrize("name", ["clusters", "network"])
def test_what_is_drawn_does_not_follow_the_users_settings(name):
    before = bits(ENTRIES[name](key(3)))
    with other_streams():
        assert bits(ENTRIES[name](key(3))) == before


def test_a_sweep_of_integer_seeds_does_not_follow_the_users_settings():
    clusters = jb.data.OrthonormalClusters(20, 4, 2, 0.1)
    flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(6), clusters, samples=8)
    run = lambda: jb.sweep(flow, {}, 2, times=[0.1], observe=["loss"]).loss.values
    before = run()
    with other_streams():
        np.testing.assert_array_equal(run(), before)


def test_nothing_is_drawn_elsewhere():
    """Draws of JAX itself, outside docstrings and comments, would follow its flags."""
    found = []
    for path in sorted((ROOT / "jaxbias").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(
                ("jax.random.", "jr.", "random.normal", "nnx.Rngs")
            ):
                found.append((path.name, node.attr))
    assert {name for name, _ in found} == {"_draws.py"}
    assert set(NAMES) <= {attribute for _, attribute in found}


def test_keys_lent_to_flax_draw_the_same_whatever_the_user_sets():
    def layer():
        return nnx.Linear(3, 4, rngs=_draws.rngs(key(5)))

    usual = nnx.Linear(3, 4, rngs=nnx.Rngs(key(5)))
    np.testing.assert_array_equal(layer().kernel[...], usual.kernel[...])
    with other_streams():
        np.testing.assert_array_equal(layer().kernel[...], usual.kernel[...])


def test_a_lent_key_is_taken_back():
    lent = _draws.lent(key(5))
    assert bits(_draws.fold_in(lent, 3)) == bits(_draws.fold_in(key(5), 3))
    assert bits(_draws.checked_key(_draws.words(key(5)))) == bits(key(5))
    assert _draws.lent(key(5), (2, 3)).shape == (2, 3)
