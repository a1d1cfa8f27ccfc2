"""Data models of one's own: what a flow asks of them, and what it refuses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import CLUSTERS, relative

import jaxbias as jb
from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import Dataset, OrthonormalClusters
from jaxbias.dynamics import Descent, GradientFlow
from jaxbias.networks import PReLU, TwoLayer, balanced, unbalanced
from jaxbias.results.specs import spec_to_json

KEY = jax.random.key(7)
NETWORK = TwoLayer(6, PReLU(3), balanced(1e-2))


@dataclasses.dataclass(frozen=True)
class Parity:
    """Corners of a cube, labelled by the product of their first two entries."""

    samples: int = 12
    dim: int = 5
    classes: bool = False

    def draw(self, key):
        bits = jax.random.bernoulli(key, 0.5, (self.samples, self.dim))
        inputs = jnp.where(bits, 1.0, -1.0).astype(jnp.float32)
        labels = inputs[:, 0] * inputs[:, 1]
        clusters = (labels > 0).astype(jnp.int32)
        return Dataset(inputs, clusters if self.classes else labels, clusters)


@dataclasses.dataclass(frozen=True)
class Clusters:
    """Clusters of the package, drawn by hand."""

    centres: bool = True

    def draw(self, key):
        drawn = CLUSTERS.sample(20, key=key)
        if self.centres:
            return drawn
        return Dataset(drawn.inputs, drawn.labels, drawn.clusters)


class Wrong:
    def draw(self, key):
        return jnp.zeros((3, 2))


def test_seeds_draw_rows_anew_in_the_precision_of_the_run(dtype):
    flow = GradientFlow(NETWORK, Parity())
    one, other = (flow.problem(jax.random.key(s), dtype=dtype) for s in (0, 1))
    assert one.dataset.inputs.dtype == one.dataset.labels.dtype == dtype
    assert not np.array_equal(one.dataset.inputs, other.dataset.inputs)
    again = flow.problem(jax.random.key(0), dtype=dtype)
    np.testing.assert_array_equal(one.dataset.inputs, again.dataset.inputs)
    # The stream of data models; the network's stays what it is with any data.
    own = Parity().draw(jax.random.fold_in(jax.random.key(0), 0))
    np.testing.assert_array_equal(one.dataset.inputs, own.inputs)


def test_a_model_of_the_package_written_by_hand_is_that_model():
    options = {"clock": "per_cluster_mean"}
    known = GradientFlow(NETWORK, CLUSTERS, 20, **options)
    own = GradientFlow(NETWORK, Clusters(), **options)
    want, have = known.problem(KEY), own.problem(KEY)
    jax.tree.map(np.testing.assert_array_equal, want, have)


def test_flows_and_descents_run_on_it():
    flow = GradientFlow(NETWORK, Parity(), loss=losses.logistic)
    exact = jb.gradient_flow(flow, times=[2.0], key=KEY)
    down = jb.gradient_descent(flow, descent=Descent(0.01), steps=[200], key=KEY)
    assert exact.finished
    assert relative(down.observables["loss"], exact.observables["loss"]) < 1e-3


def test_runs_of_many_seeds_are_one_program():
    flow = GradientFlow(NETWORK, Parity())
    draw = jax.vmap(lambda seed: flow.rows(jax.random.fold_in(KEY, seed)))
    many = draw(jnp.arange(3))
    assert many.inputs.shape == (3, 12, 5)
    alone = flow.rows(jax.random.fold_in(KEY, 2))
    np.testing.assert_array_equal(many.inputs[2], alone.inputs)


@pytest.mark.parametrize(
    ("data", "samples", "shape"),
    [
        (Parity(), None, (12, 5)),
        (OrthonormalClusters(30, 3, 1, 0.1), 9, (9, 30)),
        (CLUSTERS.sample(8, key=KEY), None, (8, 60)),
    ],
    ids=["own", "model", "set"],
)
def test_sizes_are_known_without_a_draw(data, samples, shape):
    shapes = GradientFlow(NETWORK, data, samples).shapes
    assert (shapes.samples, shapes.dim) == shape
    assert all(isinstance(s, jax.ShapeDtypeStruct) for s in jax.tree.leaves(shapes))


def test_classes_are_its_own_labels():
    network = TwoLayer(6, PReLU(3), unbalanced(0.1), classes=2)
    flow = GradientFlow(network, Parity(classes=True), loss=losses.cross_entropy)
    drawn = flow.problem(KEY).dataset
    np.testing.assert_array_equal(drawn.labels, drawn.clusters)


def test_it_has_a_json_form():
    text = spec_to_json(GradientFlow(NETWORK, Parity(dim=6)))
    assert "test_own_data:Parity" in text
    assert '"dim":6' in text


MULTI = TwoLayer(6, PReLU(3), unbalanced(0.1), classes=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientFlow(NETWORK, Parity(), 12), "samples=None"),
        (lambda: GradientFlow(NETWORK, Wrong()).problem(KEY), "a data set"),
        (
            lambda: GradientFlow(
                NETWORK, Clusters(centres=False), clock="per_cluster_mean"
            ).problem(KEY),
            "clock='mean'",
        ),
        (
            lambda: GradientFlow(MULTI, Parity(), loss=losses.cross_entropy).shapes,
            "class numbers",
        ),
    ],
    ids=["samples", "kind", "clock", "classes"],
)
def test_what_cannot_work_says_what_would(make, message):
    with pytest.raises(InputError, match=message):
        make()
