"""What a newcomer gets wrong: what came in, why it cannot work, the call that would."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbias as jb

KEY = jax.random.key(0)


def clusters(**wrong):
    good = {"dim": 20, "clusters": 4, "positive": 2, "noise": 0.1}
    return jb.data.OrthonormalClusters(**{**good, **wrong})


def flow(network=None, data=None, **wrong):
    network = network or jb.networks.TwoLayer(8, jb.networks.ReLU())
    options = {"samples": 12, **wrong}
    return jb.dynamics.GradientFlow(network, data or clusters(), **options)


def train(**wrong):
    options = {"times": [1.0], "key": KEY, **wrong}
    return jb.gradient_flow(flow(), **options)


def descend(**wrong):
    rule = {
        name: wrong.pop(name) for name in ("rate", "rule", "batch") if name in wrong
    }
    descent = jb.dynamics.Descent(**{"rate": 0.1, **rule})
    return jb.gradient_descent(
        flow(), descent=descent, **{"steps": [2], "key": KEY, **wrong}
    )


def radius(points=None, labels=None, **more):
    network = jb.networks.TwoLayer(8, jb.networks.ReLU()).build(KEY, 20)
    points = np.eye(2, 20) if points is None else points
    labels = np.array([1.0, -1.0]) if labels is None else labels
    return jb.radius(network, points, labels, **more)


class Tensor:
    """What PyTorch's tensors say when they record gradients."""

    def __array__(self, *_, **__):
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use detach"
        )


class Foreign:
    """A tensor that NumPy cannot take."""

    def __init__(self, dtype, layout="torch.strided"):
        self.dtype, self.layout = dtype, layout

    def __array__(self, *_, **__):
        raise TypeError("Got unsupported ScalarType")


MASKED = np.ma.masked_equal(np.eye(2, 20), 1)


def hidden(values):
    values = np.asarray(values)
    return np.ma.masked_array(values, np.arange(values.size).reshape(values.shape) == 1)


NAN = np.full((2, 20), np.nan)
SKEW = jnp.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
CASES = {
    # what is called: (call, what came in, what would work)
    "noise below zero": (lambda: clusters(noise=-0.1), "noise=-0.1", "noise=0"),
    "noise that is true": (lambda: clusters(noise=True), "noise=True", "noise=0"),
    "a scale below 0": (lambda: jb.networks.balanced(-1), "scale=-1", "scale=1e-07"),
    "an exponent like a mass": (lambda: jb.networks.PReLU(1e30), "1e.30", "=3"),
    "complex points": (lambda: radius(np.eye(2, 20) + 1j), "complex", "inputs.real"),
    "complex labels": (lambda: radius(labels=np.ones(2) + 0j), "complex128", "+1"),
    "words for labels": (lambda: radius(labels=["a", "b"]), "labels of type", "+1"),
    "labels 0 and 1": (lambda: radius(labels=[0, 1]), "labels", "np.where(labels"),
    "labels 1 and 255": (lambda: radius(labels=[1, 255]), "255", "labels of +1 and -1"),
    "no point": (lambda: radius(np.ones((0, 20)), []), r"\(0, 20\)", "at least one"),
    "points in a dictionary": (lambda: radius({}), "type dict", "an array of numbers"),
    "points in a word": (lambda: radius("abc"), "type str", "an array of numbers"),
    "points in bfloat16": (
        lambda: radius(Foreign("torch.bfloat16")),
        "type Foreign",
        "inputs.detach().cpu().float().numpy()",
    ),
    "sparse points": (
        lambda: radius(Foreign("torch.float32", "torch.sparse_coo")),
        "type Foreign",
        "inputs.detach().cpu().to_dense().numpy()",
    ),
    "complex tensors": (
        lambda: radius(Foreign("torch.complex64")),
        "complex",
        "inputs.real",
    ),
    "noise not a number": (lambda: clusters(noise=float("nan")), "nan", "noise="),
    "more clusters than dimensions": (lambda: clusters(clusters=30), "30", "dim="),
    "more positive than there are": (lambda: clusters(positive=5), "5", "positive="),
    "no neuron": (lambda: jb.networks.TwoLayer(0), "width=0", "width=1"),
    "p below one": (lambda: jb.networks.PReLU(0.5), "0.5", "exponent=1"),
    "no sample": (lambda: flow(samples=0), "samples=0", "samples="),
    "an unknown clock": (lambda: flow(clock="sum_"), "sum_", "clock='sum'"),
    "a scale of zero": (lambda: jb.networks.balanced(0.0), "scale=0", "scale="),
    "times that fall": (lambda: train(times=[2.0, 1.0]), r"2\.|times", "times"),
    "an observable's typo": (lambda: train(observe=["lose"]), "lose", "loss"),
    "a rate below zero": (lambda: descend(rate=-0.1), "rate=-0.1", "rate=0.1"),
    "an unknown rule": (lambda: descend(rule="adm"), "adm", "adam"),
    "a batch of none": (lambda: descend(batch=0), "batch=0", "batch=1"),
    "steps in fractions": (lambda: descend(steps=[0.5]), "0.5", "steps"),
    "points that are not numbers": (lambda: radius(NAN), "nan|NaN|40 entries", ""),
    "points of another dimension": (lambda: radius(np.eye(2, 7)), "7", "20"),
    "labels of another length": (lambda: radius(labels=np.ones(3)), "3", "2"),
    "labels that are none": (lambda: radius(labels=np.array([0.5, 1.0])), "label", "1"),
    "points that record gradients": (
        lambda: radius(Tensor()),
        "inputs of type Tensor",
        "inputs.detach().cpu().numpy()",
    ),
    "labels that record gradients": (lambda: radius(labels=Tensor()), "labels", "det"),
    "points behind a mask": (lambda: radius(MASKED), "2 masked entries", ".filled("),
    "labels behind a mask": (
        lambda: radius(labels=np.ma.masked_equal([1, -1], -1)),
        "labels with 1 masked",
        "labels[~labels.mask], or",
    ),
    "words for points": (lambda: radius([["a"] * 20]), "type list", "an array"),
    "a box of another dimension": (
        lambda: radius(box=(np.zeros(7), 1)),
        r"box of shapes \[\(7,\), \(\)\]",
        "box=(0.0, 1.0)",
    ),
    "a box behind a mask": (lambda: radius(box=(MASKED[0], 1)), "1 masked", "fill"),
    "a box that records gradients": (lambda: radius(box=(0, Tensor())), "box", "det"),
    "rows of a data set behind a mask": (
        lambda: jb.data.from_arrays(MASKED, [1, -1]),
        "inputs with 2 masked entries",
        "filled",
    ),
    "a data set that records gradients": (
        lambda: jb.data.from_arrays(np.eye(2), Tensor()),
        "labels of type Tensor",
        "labels.detach().cpu().numpy()",
    ),
    "points with a mask": (lambda: radius(hidden(np.eye(2, 20))), "inputs.*mask", ""),
    "labels with a mask": (
        lambda: radius(labels=hidden([1.0, -1.0])),
        "labels.*mask",
        "",
    ),
    "a box with a mask": (lambda: radius(box=(hidden(np.zeros(20)), 1)), "box.*m", ""),
    "rows with a mask": (
        lambda: jb.data.from_arrays(hidden(np.eye(2)), [1, -1]),
        "inputs.*mask",
        "",
    ),
    "classes with a mask": (
        lambda: jb.data.from_arrays(np.eye(2), hidden([1, -1])),
        "labels.*mask",
        "",
    ),
    "times with a mask": (lambda: train(times=hidden([1.0, 2.0])), "times.*mask", ""),
    "steps with a mask": (lambda: descend(steps=hidden([1, 2])), "steps.*mask", ""),
    "more neurons than can be": (lambda: jb.networks.TwoLayer(10**30), "10", "1000"),
    "seeds beyond 64 bits": (
        lambda: jb.verify("min-vidal-2025", seeds=10**20),
        "seeds=1",
        "seeds=1000",
    ),
    "a seed of two words": (lambda: jb.sweeps.run_key("a", 2**32), "seeds", "seeds="),
    "a key of another generator": (
        lambda: train(key=jax.random.key(0, impl="rbg")),
        "rbg",
        "threefry2x32",
    ),
    "an unknown norm": (lambda: radius(order=0.5), "0.5", "order"),
    "an unknown claim": (lambda: jb.verify("min-vidal-2025/proposition2"), "2", "-2"),
    "an unknown study": (lambda: jb.verify("nueron_alignment"), "nueron", "neuron"),
    "an unknown citation": (lambda: jb.cite("min-vidal"), "min-vidal", "min-vidal-20"),
    "a network that is not there": (
        lambda: jb.networks.read("nowhere.pt", jb.networks.ReLU()),
        "nowhere.pt",
        "a PyTorch state dict",
    ),
    "a result that is not there": (lambda: jb.open("nowhere.nc"), "nowhere.nc", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_what_came_in_why_and_what_would_work(name):
    call, got, fix = CASES[name]
    with pytest.raises(jb.InputError) as caught:
        call()
    error = caught.value
    assert re.search(got, error.got), error.got
    assert len(error.why.split()) >= 3, "a reason"
    assert fix in error.fix, error.fix
    assert error.fix
    assert str(error) == f"{error.got}: {error.why}. Try {error.fix}."


def test_centres_that_are_not_orthogonal_are_refused_where_the_theory_needs_them():
    signs = jnp.array([1.0, -1.0])
    for build in (
        jb.networks.averaged_classifier,
        lambda c, s: jb.networks.per_centre_classifier(c, s, 3.0),
    ):
        with pytest.raises(jb.InputError) as caught:
            build(SKEW, signs)
        assert "orthogonal" in str(caught.value)


def test_a_missing_data_set_names_its_files(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXBIAS_DATA", str(tmp_path))
    with pytest.raises(jb.InputError, match="train-images-idx3-ubyte.gz"):
        jb.data.mnist()
