import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxbias._checks import InputError
from jaxbias.data import OrthonormalClusters
from jaxbias.networks import (
    PReLU,
    TwoLayer,
    balanced,
    row_norms,
    torch_uniform,
    unbalanced,
)

CLUSTERS = OrthonormalClusters(50, 4, 2, 0.0, scaling="sqrt_dim")
CENTRES, LABELS = CLUSTERS.centres(), jnp.asarray(CLUSTERS.labels)


def drawn(init, width=2000, dim=50, seed=0, **options):
    named = (
        {"centres": CENTRES, "centre_labels": LABELS} if "centres" in options else {}
    )
    spec = TwoLayer(width, PReLU(3), init, classes=options.get("classes"))
    dtype = options.get("dtype", "float64")
    return spec.draw(jax.random.key(seed), dim, dtype=dtype, **named)


@pytest.mark.parametrize("nudge", [0.0, 0.3])
@pytest.mark.parametrize("shape", ["entries", "unit"])
@pytest.mark.parametrize("scale", [1e-15, 1e-3])
def test_balanced_is_exact_in_the_precision_of_the_run(scale, shape, nudge, dtype):
    weights = drawn(balanced(scale, nudge, shape), centres=True, dtype=dtype)
    np.testing.assert_array_equal(jnp.abs(weights.output), row_norms(weights.hidden))
    assert weights.output.dtype == dtype
    assert float(jnp.min(jnp.abs(weights.output))) > 0


@pytest.mark.parametrize(
    ("shape", "entry"), [("entries", 0.01), ("unit", 0.01 / np.sqrt(50))]
)
def test_scale_is_the_size_of_an_entry_or_of_a_row(shape, entry):
    hidden = np.asarray(drawn(balanced(0.01, shape=shape)).hidden)
    assert hidden.std() == pytest.approx(entry, rel=0.02)
    assert hidden.mean() == pytest.approx(0.0, abs=5 * entry / np.sqrt(hidden.size))


def test_signs_are_fair_and_independent_of_the_rows():
    weights = drawn(balanced(1.0))
    signs = np.sign(weights.output)
    assert abs(signs.mean()) < 5 / np.sqrt(2000)
    correlation = (signs[:, None] * np.asarray(weights.hidden)).mean(axis=0)
    assert np.abs(correlation).max() < 5 / np.sqrt(2000)


def test_classes_share_the_norm_of_the_row_in_uniform_directions():
    weights = drawn(balanced(1e-7), classes=4)
    assert weights.output.shape == (2000, 4)
    np.testing.assert_allclose(
        row_norms(weights.output), row_norms(weights.hidden), rtol=1e-14
    )
    directions = np.asarray(weights.output / row_norms(weights.output)[:, None])
    np.testing.assert_allclose(directions.mean(axis=0), 0.0, atol=0.07)
    np.testing.assert_allclose((directions**2).mean(axis=0), 1 / 4, atol=0.04)


@pytest.mark.parametrize(
    ("shape", "size"), [("unit", 1e-7), ("entries", 1e-7 * 50**0.5)]
)
def test_nudge_moves_the_unit_row_toward_a_centre_of_its_own_class(shape, size):
    plain = drawn(balanced(1e-7, 0.0, shape), centres=True)
    nudged = drawn(balanced(1e-7, 0.25, shape), centres=True)
    np.testing.assert_array_equal(np.sign(plain.output), np.sign(nudged.output))
    # w' = (1 - nudge) w + nudge mu, so the target can be read off; it is a unit vector.
    target = (nudged.hidden - 0.75 * plain.hidden) / (0.25 * size)
    cosines = np.asarray(target @ CENTRES.T) / np.sqrt(50)
    chosen = cosines.argmax(axis=1)
    np.testing.assert_allclose(cosines, np.eye(4)[chosen], atol=1e-12)
    np.testing.assert_array_equal(CLUSTERS.labels[chosen], np.sign(nudged.output))
    assert np.bincount(chosen, minlength=4).min() > 400


def test_a_nudge_of_one_starts_on_the_centres():
    weights = drawn(balanced(0.1, nudge=1, shape="unit"), centres=True)
    np.testing.assert_allclose(row_norms(weights.hidden), 0.1, rtol=1e-14)
    np.testing.assert_allclose(
        jnp.max(weights.hidden @ CENTRES.T, axis=1), 0.1 * np.sqrt(50), rtol=1e-13
    )


def test_unbalanced_layers_have_their_own_sizes():
    weights = drawn(unbalanced(1e-3))
    assert np.std(weights.hidden) == pytest.approx(1e-3, rel=0.03)
    assert np.std(weights.output) == pytest.approx(1e-3, rel=0.1)
    assert abs(np.mean(weights.output)) < 5e-3 / np.sqrt(2000)
    weights = drawn(unbalanced(1e-3, 0.5), classes=4)
    assert np.std(weights.output) == pytest.approx(0.5, rel=0.1)
    assert weights.output.shape == (2000, 4)


def test_both_precisions_draw_the_same_start():
    for init in (balanced(1e-7), balanced(1e-7, 0.3), unbalanced(1e-3)):
        single = drawn(init, centres=True, dtype="float32")
        double = drawn(init, centres=True)
        assert (single.hidden.dtype, double.hidden.dtype) == (jnp.float32, jnp.float64)
        for name in ("hidden", "output"):
            close = getattr(double, name)
            np.testing.assert_allclose(
                getattr(single, name), close, rtol=1e-5, atol=1e-6 * np.abs(close).max()
            )


@pytest.mark.parametrize("scale", [0, 0.0, -1e-7, float("nan"), float("inf")])
def test_scales_that_are_not_positive_are_refused(scale):
    for make in (balanced, unbalanced, lambda s: unbalanced(1.0, s)):
        with pytest.raises(InputError, match="scale="):
            make(scale)
    with pytest.raises(InputError, match="scale="):
        TwoLayer(3).draw(jax.random.key(0), 2, scale=scale)


@pytest.mark.parametrize("nudge", [-0.1, 1.1, float("nan")])
def test_nudges_outside_the_unit_interval_are_refused(nudge):
    with pytest.raises(InputError, match="nudge="):
        balanced(1e-7, nudge=nudge)


def test_unknown_shapes_offer_the_known():
    with pytest.raises(InputError, match="entries"):
        balanced(1e-7, shape="entires")


def test_a_nudge_needs_labelled_centres_of_two_classes():
    with pytest.raises(InputError, match="centres"):
        drawn(balanced(1e-7, nudge=0.1))
    with pytest.raises(InputError, match="two classes"):
        drawn(balanced(1e-7, nudge=0.1), centres=True, classes=4)


def test_a_scale_that_underflows_says_so():
    with pytest.raises(InputError, match="underflows") as error:
        drawn(balanced(1e-20), dtype="float32")
    assert "float64" in error.value.fix
    assert float(drawn(balanced(1e-20)).output[0]) != 0


def test_torch_uniform_has_the_bounds_and_moments_of_torch():
    width, dim = 400, 50
    weights = drawn(torch_uniform(), width=width, classes=10)
    for array, bound in (
        (weights.hidden, np.sqrt(6 / width)),
        (weights.output, np.sqrt(1 / width)),
    ):
        values = np.asarray(array).ravel() / bound
        # A uniform law on (-1, 1): inside, filled to the ends, right in distribution.
        assert np.abs(values).max() < 1
        assert np.abs(values).max() > 1 - 20 / len(values)
        assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert weights.hidden.shape == (width, dim)
    assert weights.output.shape == (width, 10)


def test_torch_uniform_scales_both_layers_and_refuses_a_bad_scale():
    one, three = drawn(torch_uniform(), width=30), drawn(torch_uniform(3.0), width=30)
    np.testing.assert_allclose(three.hidden, 3 * one.hidden, rtol=1e-12)
    np.testing.assert_allclose(three.output, 3 * one.output, rtol=1e-12)
    with pytest.raises(InputError, match="scale"):
        torch_uniform(-1.0)


def test_torch_uniform_does_not_count_padding():
    spec = TwoLayer(30, PReLU(3), torch_uniform())
    exact = spec.draw(jax.random.key(0), 50, dtype="float64")
    traced = jax.jit(
        lambda width: spec.draw(
            jax.random.key(0), 50, width=width, padded=48, dtype="float64"
        )
    )(30)
    np.testing.assert_allclose(traced.hidden[:30], exact.hidden, rtol=1e-15)
    np.testing.assert_allclose(traced.output[:30], exact.output, rtol=1e-15)


def test_torch_uniform_is_what_torch_draws():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.empty(50, 400)
    # The released code initialises a tensor of shape (dim, width): torch takes its
    # second axis for the fan-in.
    torch.nn.init.kaiming_uniform_(theirs)
    ours = np.asarray(drawn(torch_uniform(), width=400).hidden)
    assert stats.ks_2samp(ours.ravel(), theirs.numpy().ravel()).pvalue > 1e-3
    readout = torch.nn.Linear(400, 10).weight.detach().numpy()
    output = np.asarray(drawn(torch_uniform(), width=400, classes=10).output)
    assert stats.ks_2samp(output.ravel(), readout.ravel()).pvalue > 1e-3
