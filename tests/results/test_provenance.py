import dataclasses
import json
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import losses, results
from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks import activations
from jaxbias.networks.initialization import balanced, unbalanced
from jaxbias.networks.two_layer import TwoLayer

CLUSTERS = OrthonormalClusters(dim=20, clusters=4, positive=2, noise=0.1)
FLOWS = [
    GradientFlow(TwoLayer(8), CLUSTERS, samples=8),
    GradientFlow(
        TwoLayer(8, activations.PReLU(2.5), unbalanced(1e-3), output_bias=True),
        dataclasses.replace(CLUSTERS, scaling="sqrt_dim", rotated=True),
        samples=12,
        loss=losses.logistic,
        clock="per_cluster_mean",
    ),
    GradientFlow(
        TwoLayer(8, activations.LeakyReLU(0.1), balanced(1e-7, nudge=0.05), "frozen"),
        CLUSTERS,
        samples=8,
        loss=losses.squared,
    ),
]


@pytest.mark.parametrize("flow", FLOWS)
def test_a_specification_survives_json(flow):
    text = results.spec_to_json(flow)
    again = results.spec_from_json(text)
    assert again == flow
    assert hash(again) == hash(flow)
    assert results.spec_to_json(again) == text
    assert json.loads(text)["class"] == "jaxbias.dynamics.flow:GradientFlow"


@pytest.mark.parametrize("name", list(losses.LOSSES))
def test_losses_go_by_their_registered_name(name):
    loss = losses.LOSSES[name]
    assert results.spec_to_json(loss) == f'{{"object":"jaxbias.losses:{name}"}}'
    assert results.spec_from_json(results.spec_to_json(loss)) is loss


def test_hashes_tell_specifications_apart():
    changed = dataclasses.replace(CLUSTERS, noise=float(np.nextafter(0.1, 1)))
    every = [*FLOWS, dataclasses.replace(FLOWS[0], data=changed)]
    assert len({results.spec_hash(flow) for flow in every}) == len(every)
    code = (
        "from jaxbias.results import spec_hash;"
        "from jaxbias.data.clusters import OrthonormalClusters as O;"
        "print(spec_hash(O(dim=20, clusters=4, positive=2, noise=0.1)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.stdout.strip() == results.spec_hash(CLUSTERS), other.stderr


def test_numbers_containers_and_small_arrays():
    value = {"a": (1, 2.5, None, True), "b": [float("inf"), "x"], "c": np.float32(0.5)}
    assert results.spec_from_json(results.spec_to_json(value)) == value
    array = np.array([[1.0, np.inf], [0.1, -2.0]])
    again = results.spec_from_json(results.spec_to_json(array))
    np.testing.assert_array_equal(again, array, strict=True)


def test_a_data_set_is_told_apart_but_not_rebuilt():
    inputs = jnp.linspace(0, 1, 200).reshape(20, 10)
    rows = dict(clusters=jnp.zeros(20, jnp.int32), centres=None, centre_labels=None)
    first = Dataset(inputs=inputs, labels=jnp.ones(20), **rows)
    second = Dataset(inputs=inputs.at[3, 3].set(9.0), labels=jnp.ones(20), **rows)
    assert results.spec_hash(first) != results.spec_hash(second)
    with pytest.raises(InputError, match="kept only as a digest"):
        results.spec_from_json(results.spec_to_json(first))


def test_what_has_no_json_form_is_named():
    with pytest.raises(InputError, match=r"spec\.f=.*no JSON form"):
        results.spec_to_json({"f": lambda x: x})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ('{"class":"os:system"}', "only classes of jaxbias"),
        ('{"object":"jaxbiasevil:x"}', "only classes of jaxbias"),
        ('{"class":"jaxbias.losses:Hinge"}', "nothing of that name"),
        ('{"class":"jaxbias.lost:Hinge"}', "nothing of that name"),
    ],
)
def test_bad_specifications(text, message):
    with pytest.raises(InputError, match=message):
        results.spec_from_json(text)


def test_provenance_says_what_is_known():
    known = results.provenance(
        CLUSTERS, seeds=[3, 9, 5], precision="float32", device="cpu", wall_seconds=1.5
    )
    assert (known["seed_first"], known["seed_last"]) == (3, 9)
    assert results.spec_from_json(str(known["spec"])) == CLUSTERS
    assert known["spec_hash"] == results.spec_hash(CLUSTERS)
    assert known["jaxbias"]
    assert known["numpy"] == np.__version__
    assert known["jax"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(known["python"]))
    if "commit" in known:
        assert re.fullmatch(r"[0-9a-f]{40}\+?", str(known["commit"]))
    assert all(isinstance(v, str | int | float) for v in known.values())
    assert "device" not in results.provenance()
