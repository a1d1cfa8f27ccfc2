"""Output weights that are dealt out to labels or classes in turn, and stay."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxbias._checks import InputError
from jaxbias.networks import ReLU, TwoLayer, unbalanced

KEY = jax.random.key(3)
BINARY = TwoLayer(6, ReLU(), unbalanced(1e-2), output="grouped")
CLASSES = dataclasses.replace(BINARY, classes=3)


@pytest.mark.parametrize(("size", "modulus"), [(None, 1 / 3), (1.0, 1.0), (2, 2.0)])
def test_even_neurons_vote_for_one_label_and_odd_ones_for_the_other(size, modulus):
    output = dataclasses.replace(BINARY, output_size=size).draw(KEY, 5).output
    np.testing.assert_allclose(output, modulus * np.array([1, -1, 1, -1, 1, -1]))


@pytest.mark.parametrize(("size", "modulus"), [(None, 1 / 2), (1.0, 1.0)])
def test_neurons_vote_for_the_classes_in_turn(size, modulus):
    output = dataclasses.replace(CLASSES, output_size=size).draw(KEY, 5).output
    np.testing.assert_allclose(output, modulus * np.tile(np.eye(3), (2, 1)))


@pytest.mark.parametrize("spec", [BINARY, CLASSES], ids=["binary", "classes"])
def test_the_hidden_layer_is_that_of_any_other_output(spec):
    frozen = dataclasses.replace(spec, output="frozen")
    np.testing.assert_array_equal(spec.draw(KEY, 5).hidden, frozen.draw(KEY, 5).hidden)
    rows = unbalanced(1e-2), TwoLayer(1000, ReLU(), unbalanced(1e-2), "grouped")
    assert float(jnp.std(rows[1].draw(KEY, 50).hidden)) == pytest.approx(1e-2, rel=0.02)


@pytest.mark.parametrize("spec", [BINARY, CLASSES], ids=["binary", "classes"])
@pytest.mark.parametrize("size", [None, 1.0])
def test_a_traced_width_in_padded_rows_equals_a_draw_of_that_width(spec, size):
    spec = dataclasses.replace(spec, output_size=size)
    draw = jax.jit(jax.vmap(lambda w: spec.draw(KEY, 5, width=w, padded=14)))
    batch = draw(jnp.asarray([6, 12]))
    for run, width in enumerate((6, 12)):
        alone = spec.draw(KEY, 5, width=width)
        np.testing.assert_array_equal(batch.output[run, :width], alone.output)
        np.testing.assert_array_equal(batch.output[run, width:], 0.0)
        np.testing.assert_array_equal(batch.hidden[run, :width], alone.hidden)


def test_grouped_output_weights_are_no_parameters():
    network = dataclasses.replace(BINARY, hidden_bias=True).build(KEY, 5)
    names = {path[0] for path, _ in nnx.to_flat_state(nnx.state(network, nnx.Param))}
    assert names == {"hidden", "hidden_bias"}
    assert (BINARY.output_trained, TwoLayer(4).output_trained) == (False, True)
    assert (BINARY.groups, CLASSES.groups, TwoLayer(4, classes=3).groups) == (2, 3, 1)
    np.testing.assert_array_equal(network.weights().hidden_bias, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 5}, "width=6"),
        ({"width": 4, "classes": 3}, "width=6"),
        ({"output": "frozen", "output_size": 1.0}, "output='grouped'"),
        ({"output_size": 0.0}, "output_size"),
        ({"output_size": -1.0}, "output_size"),
    ],
)
def test_bad_groups_say_what_would_work(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(BINARY, **change)


def test_a_drawn_width_has_whole_groups_too():
    with pytest.raises(InputError, match="width=9"):
        CLASSES.draw(KEY, 5, width=7)
