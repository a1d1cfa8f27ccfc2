import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxbias._checks import InputError
from jaxbias.networks import PReLU, ReLU, TwoLayer, balanced, predict, unbalanced

KEY, INPUTS = jax.random.key(3), jax.random.normal(jax.random.key(4), (5, 6))
# Few shapes: 5 classes or 4 centres and a sign make rows of the same length.
CENTRES, LABELS = jnp.eye(4, 6), jnp.asarray([1.0, 1.0, -1.0, -1.0])
SPECS = {
    "balanced": TwoLayer(4, PReLU(3), balanced(1e-2)),
    "nudged": TwoLayer(4, PReLU(3), balanced(1e-2, nudge=0.2)),
    "unbalanced": TwoLayer(4, PReLU(1.5), unbalanced(1e-2)),
    "frozen": TwoLayer(4, ReLU(), balanced(1e-2), output="frozen"),
    "classes": TwoLayer(4, PReLU(2), balanced(1e-2), classes=5, output_bias=True),
    "frozen classes": TwoLayer(4, ReLU(), balanced(1e-2), classes=5, output="frozen"),
    "biased": TwoLayer(4, PReLU(3), balanced(1e-2), hidden_bias=True, output_bias=True),
}


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys())
def spec(request):
    return request.param


def draw(spec, **options):
    return spec.draw(KEY, 6, centres=CENTRES, centre_labels=LABELS, **options)


def test_padding_never_changes_a_number(spec):
    alone, padded = draw(spec), draw(spec, padded=7)
    assert padded.mask.tolist() == [True] * 4 + [False] * 3
    for name in ("hidden", "output", "hidden_bias"):
        small, large = getattr(alone, name), getattr(padded, name)
        if small is not None:
            np.testing.assert_array_equal(large[:4], small)
            np.testing.assert_array_equal(large[4:], 0.0)
    np.testing.assert_allclose(
        predict(padded, spec.activation, INPUTS),
        predict(alone, spec.activation, INPUTS),
        rtol=1e-13,
    )


def test_padded_neurons_get_no_gradient(spec):
    padded = draw(spec, padded=7)

    def total(hidden, output):
        moved = draw(spec, padded=7)
        moved = type(moved)(
            hidden, output, moved.hidden_bias, moved.output_bias, moved.mask
        )
        return jnp.sum(predict(moved, spec.activation, INPUTS))

    for gradient in jax.grad(total, argnums=(0, 1))(padded.hidden, padded.output):
        np.testing.assert_array_equal(gradient[4:], 0.0)
        assert float(jnp.max(jnp.abs(gradient[:4]))) > 0


def test_traced_widths_and_scales_equal_separate_draws(spec):
    widths, scales = jnp.asarray([4, 7]), jnp.asarray([1e-2, 1e-5])
    batch = jax.jit(
        jax.vmap(lambda w, s: draw(spec, width=w, scale=s, padded=7)),
    )(widths, scales)
    for run, (width, scale) in enumerate([(4, 1e-2), (7, 1e-5)]):
        alone = draw(spec, width=width, scale=scale)
        assert batch.mask[run].sum() == width
        for name in ("hidden", "output"):
            np.testing.assert_allclose(
                getattr(batch, name)[run, :width], getattr(alone, name), rtol=1e-14
            )
            np.testing.assert_array_equal(getattr(batch, name)[run, width:], 0.0)


def test_a_traced_width_is_bounded_by_the_field():
    batch = jax.vmap(lambda w: SPECS["balanced"].draw(KEY, 6, width=w))(
        jnp.arange(1, 5)
    )
    assert batch.hidden.shape == (4, 4, 6)
    np.testing.assert_array_equal(batch.mask.sum(axis=1), [1, 2, 3, 4])


def test_keys_in_a_batch_draw_what_they_draw_alone(spec):
    keys = jax.random.split(KEY, 3)
    batch = jax.vmap(lambda k: spec.draw(k, 6, centres=CENTRES, centre_labels=LABELS))(
        keys
    )
    alone = spec.draw(keys[1], 6, centres=CENTRES, centre_labels=LABELS)
    np.testing.assert_allclose(batch.hidden[1], alone.hidden, rtol=1e-15)
    np.testing.assert_allclose(batch.output[1], alone.output, rtol=1e-15)
    assert not np.allclose(batch.hidden[0], batch.hidden[1])


def test_a_frozen_readout_votes_with_the_true_width():
    alone = draw(SPECS["frozen"])
    np.testing.assert_allclose(jnp.abs(alone.output), 0.25)
    padded = draw(SPECS["frozen"], width=3, padded=7)
    np.testing.assert_allclose(jnp.abs(padded.output[:3]), 1 / 3)
    trained = draw(TwoLayer(4, ReLU(), balanced(1e-2)))
    np.testing.assert_array_equal(np.sign(alone.output), np.sign(trained.output))
    np.testing.assert_array_equal(alone.hidden, trained.hidden)


def test_a_frozen_readout_of_classes_votes_for_one_class():
    output = np.asarray(draw(SPECS["frozen classes"], width=300, padded=300).output)
    np.testing.assert_allclose(output.sum(axis=1), 1 / 300)
    np.testing.assert_allclose(output.max(axis=1), 1 / 300)
    assert (output > 0).sum(axis=0).min() > 35


def test_biases_start_at_zero_with_one_for_each_output():
    weights = draw(SPECS["biased"])
    assert (weights.hidden_bias.shape, weights.output_bias.shape) == ((4,), ())
    assert float(jnp.sum(jnp.abs(weights.hidden_bias)) + weights.output_bias) == 0
    assert draw(SPECS["classes"]).output_bias.shape == (5,)
    assert draw(SPECS["balanced"]).output_bias is None


def test_the_module_computes_what_its_weights_predict(spec):
    network = spec.build(KEY, 6, centres=CENTRES, centre_labels=LABELS)
    weights = draw(spec)
    np.testing.assert_array_equal(
        network(INPUTS), predict(weights, spec.activation, INPUTS)
    )
    back = network.weights()
    assert jax.tree.structure(back) == jax.tree.structure(weights)
    for got, want in zip(jax.tree.leaves(back), jax.tree.leaves(weights), strict=True):
        np.testing.assert_array_equal(got, want)
    assert network.activation == spec.activation


def test_only_trained_arrays_are_parameters(spec):
    network = spec.build(KEY, 6, centres=CENTRES, centre_labels=LABELS)
    names = {path[0] for path, _ in nnx.to_flat_state(nnx.state(network, nnx.Param))}
    want = {"hidden"}
    want |= {"output"} if spec.output == "trained" else set()
    want |= {"hidden_bias"} if spec.hidden_bias else set()
    want |= {"output_bias"} if spec.output_bias else set()
    assert names == want


def test_normalised_inputs_reach_the_module():
    plain = TwoLayer(4, PReLU(3), balanced(1.0)).build(KEY, 6)
    scaled = TwoLayer(4, PReLU(3), balanced(1.0), normalise_inputs=True).build(KEY, 6)
    lengths = np.linalg.norm(INPUTS, axis=1)
    np.testing.assert_allclose(scaled(INPUTS), plain(INPUTS) / lengths**2, rtol=1e-12)


def test_the_specification_hashes():
    assert TwoLayer(4, PReLU(3), balanced(1e-2)) == SPECS["balanced"]
    assert len({hash(spec) for spec in SPECS.values()}) == len(SPECS)
    assert TwoLayer(3).activation == ReLU()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"width": -2}, "width=-2"),
        ({"width": 3, "output": "fixed"}, "frozen"),
        ({"width": 3, "classes": 1}, "classes=1"),
        ({"width": 3, "classes": 0}, "classes=0"),
    ],
)
def test_bad_specifications_say_what_would_work(arguments, message):
    with pytest.raises(InputError, match=message):
        TwoLayer(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"width": 5, "padded": 4}, "padded=5"),
        ({"padded": 0}, "padded=0"),
        ({"dtype": "int32"}, "float32"),
    ],
)
def test_bad_draws_say_what_would_work(options, message):
    with pytest.raises(InputError, match=message):
        draw(SPECS["balanced"], **options)


def test_a_dimension_below_one_is_refused():
    with pytest.raises(InputError, match="dim=0"):
        SPECS["balanced"].draw(KEY, 0)
