import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import InputError
from jaxbias.data import OrthonormalClusters
from jaxbias.networks import (
    decoupled_network,
    mixture_network,
    per_centre_classifier,
    predict,
)
from jaxbias.networks.readouts import SummedLogits

CLUSTERS = OrthonormalClusters(9, 5, 3, 0.1, scaling="sqrt_dim", rotated=True)
SIGNS = np.asarray(CLUSTERS.labels, float)
GROUPS = tuple(int(s) for s in SIGNS)


@pytest.fixture
def centres(key):
    return CLUSTERS.centres(key)


def test_each_output_is_its_own_formula(centres):
    inputs = 3 * np.random.default_rng(0).normal(size=(40, 9))
    scores = inputs @ np.asarray(centres).T / 9
    for p, beta, logit in ((1.0, 0.0, 1.0), (1.0, 0.25, 5.43), (3.0, 0.1, 2.0)):
        weights, activation = decoupled_network(
            centres, exponent=p, threshold=beta, logit=logit
        )
        expected = logit * np.maximum(scores - beta, 0) ** p
        found = predict(weights, activation, jnp.asarray(inputs))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_summed_logits_are_the_per_centre_classifier(centres):
    inputs = jnp.asarray(np.random.default_rng(1).normal(size=(20, 9)))
    labels = jnp.ones(20)
    outputs = predict(*decoupled_network(centres, exponent=3.0), inputs)
    summed = SummedLogits(GROUPS).margin(outputs, labels)
    net = per_centre_classifier(centres, jnp.asarray(SIGNS), 3)
    explicit = predict(*net, inputs)
    np.testing.assert_allclose(summed, explicit, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mixing", [0.0, 1.0, 5.0])
def test_a_mixture_tells_clusters_apart(centres, mixing):
    outputs = predict(*mixture_network(centres, jnp.asarray(SIGNS), mixing), centres)
    same = SIGNS[:, None] == SIGNS[None]
    expected = np.where(np.eye(5, dtype=bool), 1 + mixing, np.where(same, mixing, 0))
    np.testing.assert_allclose(outputs, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"threshold": 1.0}, "own centre"),
        ({"threshold": -0.1}, "threshold"),
        ({"logit": 0.0}, "logit"),
        ({"exponent": 0.5}, "exponent"),
    ],
)
def test_what_is_no_decoupled_network_is_refused(centres, options, why):
    with pytest.raises(InputError, match=why):
        decoupled_network(centres, **options)


def test_mixtures_need_orthogonal_centres_and_both_classes(centres):
    labels = jnp.asarray(SIGNS)
    with pytest.raises(InputError, match="cosine"):
        mixture_network(centres + 0.1 * centres[:1], labels, 1.0)
    with pytest.raises(InputError, match="cosine"):
        decoupled_network(centres + 0.1 * centres[:1])
    with pytest.raises(InputError, match="each class needs"):
        mixture_network(centres, jnp.abs(labels), 1.0)
    with pytest.raises(InputError, match="mixing"):
        mixture_network(centres, labels, -1.0)
