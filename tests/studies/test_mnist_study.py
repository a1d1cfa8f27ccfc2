"""The image study at toy sizes: the 8 x 8 digits stand in for MNIST."""

import importlib.util
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.data import Splits, digits, mnist
from jaxbias.networks import PReLU, TwoLayerNetwork, Weights
from jaxbias.plots import figure
from jaxbias.results import open as open_results
from jaxbias.studies import _features, _mnist
from jaxbias.studies._classifiers import Classifiers, robust_accuracies
from jaxbias.studies._features import train_on_features
from jaxbias.studies._mnist import mean_cosines, mnist_data, train_on_mnist

RADII = np.array([0.0, 0.05, 0.1, 0.2])
SIZES = {"width": 24, "epochs": 30, "batch": 50}
SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "features.py"


def quiet(what):
    assert isinstance(what, str)


@pytest.fixture(scope="module")
def stand_in():
    train, test = digits("class", dtype="float32")
    # What the paper calls its test set is the validation part.
    nothing = jax.tree.map(jnp.zeros_like, test)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_mnist, "mnist", lambda *_, **__: Splits(train, test, nothing))
        yield train, test


@pytest.fixture(scope="module")
def trained(stand_in):
    return train_on_mnist(
        tasks=("parity", "digits"),
        exponents=(1.0, 3.0),
        seeds=(0, 1),
        root="test",
        tick=quiet,
        **SIZES,
    )


@pytest.fixture(scope="module")
def attacked(trained):
    """Those of p = 3; every exponent would be two programs more to compile."""
    kept = {at: n for at, n in trained.networks.items() if at[1] == 3}
    return trained._replace(networks=kept)


@pytest.fixture(scope="module")
def table(attacked):
    return robust_accuracies(
        attacked, points=30, radii=RADII, steps=10, root="test", tick=quiet
    )


def forward(network, p, rows):
    """Outputs by the formula, in NumPy."""
    weights = network.weights()
    w, v = np.asarray(weights.hidden, float), np.asarray(weights.output, float)
    lengths = np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(w, axis=1)
    units = np.maximum(rows @ w.T, 0) ** p / np.maximum(lengths, 1e-30) ** (p - 1)
    bias = weights.output_bias
    return units, units @ v + (0 if bias is None else np.asarray(bias, float))


# --- data -----------------------------------------------------------------------------


def test_labels_are_digits_modulo_the_classes(stand_in):
    train, test = stand_in
    data = mnist_data(("parity", "digits"))
    for task, classes in (("parity", 2), ("digits", 10)):
        for got, want in zip(data[task], (train, test), strict=True):
            np.testing.assert_array_equal(got.labels, np.asarray(want.labels) % classes)
            np.testing.assert_array_equal(got.inputs, want.inputs)
            np.testing.assert_array_equal(got.clusters, want.labels)
            assert got.labels.dtype == jnp.int32


def test_fewer_training_images_are_the_first(stand_in):
    train, test = mnist_data(("parity",), samples=40)["parity"]
    assert (train.samples, test.samples) == (40, stand_in[1].samples)
    np.testing.assert_array_equal(train.inputs, stand_in[0].inputs[:40])


def test_without_the_files_of_mnist_the_loader_says_so(monkeypatch):
    monkeypatch.setattr(_mnist, "mnist", mnist)
    monkeypatch.delenv("JAXBIAS_DATA", raising=False)
    with pytest.raises(InputError, match="JAXBIAS_DATA"):
        train_on_mnist(
            tasks=("digits",),
            exponents=(1.0,),
            seeds=(0,),
            root="test",
            tick=quiet,
            **SIZES,
        )


@pytest.mark.skipif(
    not (pathlib.Path(os.environ.get("JAXBIAS_DATA", "")) / "mnist").is_dir(),
    reason="JAXBIAS_DATA names no folder of MNIST",
)
def test_the_rows_are_those_of_the_paper(monkeypatch):
    monkeypatch.setattr(_mnist, "mnist", mnist)
    train, test = mnist_data(("parity",))["parity"]
    assert (train.samples, test.samples, train.dim) == (50_000, 10_000, 784)
    # The validation images: the counts of the classic pickle, not those of t10k.
    assert np.bincount(test.clusters)[:3].tolist() == [991, 1064, 990]


# --- networks and the table -----------------------------------------------------------


def test_networks_are_trained_for_every_task_exponent_and_seed(trained):
    assert trained.axes() == (["parity", "digits"], [1.0, 3.0], [0, 1])
    shapes = {task: n.output.shape for (task, _, _), n in trained.networks.items()}
    assert shapes == {"parity": (24, 2), "digits": (24, 10)}
    one, other = (trained.networks["digits", 3.0, seed] for seed in (0, 1))
    assert np.abs(one.hidden[...] - other.hidden[...]).max() > 0.1


def test_accuracies_and_ranks_are_those_of_numpy(attacked, table):
    for (task, p, seed), network in attacked.networks.items():
        test = attacked.data[task][1]
        at = {"task": task, "exponent": p, "seed": seed}
        units, outputs = forward(network, p, np.asarray(test.inputs, float))
        right = np.mean(np.argmax(outputs, axis=1) == np.asarray(test.labels))
        assert float(table.accuracy.sel(at)) == pytest.approx(right, abs=3e-3)
        for name, matrix in (
            ("feature_rank", units),
            ("weight_rank", np.asarray(network.hidden[...], float)),
        ):
            values = np.linalg.svd(matrix, compute_uv=False) ** 2
            want = values.sum() / values.max()
            assert float(table[name].sel(at)) == pytest.approx(want, rel=1e-3)
    assert float(table.accuracy.sel(task="parity").min()) > 0.85
    assert float(table.accuracy.sel(task="digits").min()) > 0.8


def test_the_three_curves_bound_each_other(table):
    robust = table.robust_accuracy
    paper, upper, certified = (robust.sel(curve=c, drop=True) for c in table.curve)
    assert (upper >= certified).all()
    assert (upper.sel(radius=RADII) <= paper.sel(radius=RADII)).all()
    for curve in (upper, certified, paper.sel(radius=RADII)):
        assert (curve.diff("radius") <= 0).all()
    assert np.isfinite(upper).all()
    assert np.isfinite(certified).all()
    # At radius 0 all count the points that are right.
    np.testing.assert_array_equal(paper.sel(radius=0.0), upper.sel(radius=0.0))
    np.testing.assert_array_equal(certified.sel(radius=0.0), upper.sel(radius=0.0))


def test_the_paper_s_attack_stands_at_its_radii_alone(table):
    paper = table.robust_accuracy.sel(curve="paper")
    run = np.isfinite(paper).all(("task", "exponent", "seed"))
    np.testing.assert_array_equal(table.radius.values[run], RADII)
    assert np.isnan(paper.isel(radius=np.flatnonzero(~run))).all()
    assert table.sizes["radius"] > 3 * len(RADII)


def test_nothing_breaks_what_is_certified(attacked, table):
    rng = np.random.default_rng(0)
    for (task, p, seed), network in attacked.networks.items():
        test = attacked.data[task][1]
        rows, labels = (np.asarray(a)[:30] for a in (test.inputs, test.labels))
        curve = table.robust_accuracy.sel(
            task=task, exponent=p, seed=seed, curve="certified"
        )
        reach = float(curve.radius[int((curve > 0).sum()) - 1])
        shift = reach * rng.choice([-1, 1], (20, *rows.shape))
        kept = [
            np.argmax(forward(network, p, rows + s)[1], axis=1) == labels for s in shift
        ]
        assert np.all(kept, axis=0).mean() >= float(curve.sel(radius=reach))


def test_the_table_says_how_it_came_about(table):
    assert table.attrs == {
        **SIZES,
        "samples": 1438,
        "test_samples": 359,
        "points": 30,
        "attack_steps": 10,
    }
    drawn = figure(table.assign_attrs(plot="mnist"))
    assert len(drawn.axes) == 8


# --- cosines --------------------------------------------------------------------------


@pytest.fixture
def planted(stand_in):
    """Neurons on the mean images of digits 3, 0 and 7, and a small one on that of 5."""
    data = mnist_data(("parity", "digits"))
    rows, names = (np.asarray(a) for a in (stand_in[0].inputs, stand_in[0].labels))
    means = {k: rows[names == k].mean(axis=0) for k in (3, 0, 7, 5)}
    units = np.stack([mean / np.linalg.norm(mean) for mean in means.values()])
    hidden = units * np.array([2.0, 1.0, 3.0, 1e-3])[:, None]
    odd = np.array([1.0, -1.0, 1.0, 1.0])
    readouts = {
        # A constant added to both outputs decides nothing.
        "parity": np.stack([-odd, odd], axis=1) + 7.0,
        "digits": 2 * np.eye(10)[list(means)],
    }
    networks = {}
    for task, output in readouts.items():
        first, second = (jnp.asarray(a, jnp.float32) for a in (hidden, output))
        weights = Weights(first, second, None, None, jnp.ones(4, bool))
        network = TwoLayerNetwork(weights, PReLU(3.0), normalise_inputs=True)
        networks[task, 3.0, 0] = network
    return Classifiers(networks, data, {"width": 4, "epochs": 0, "batch": 0})


def test_cosines_of_planted_neurons(planted):
    found = mean_cosines(planted, neurons=3).sel(exponent=3.0)
    assert found.digit.values.tolist() == list(range(10))
    np.testing.assert_array_equal(found.owner.sel(task="parity"), np.arange(10) % 2)
    np.testing.assert_array_equal(found.owner.sel(task="digits"), np.arange(10))
    for task, sign in (("parity", [-1, -1, 1]), ("digits", [1, 1, 1])):
        part = found.sel(task=task)
        # By falling contribution: digits 7, 3, 0; the small one is not shown.
        largest = np.argmax(part.cosine.transpose("neuron", "digit").values, axis=1)
        assert largest.tolist() == [7, 3, 0]
        np.testing.assert_allclose(part.cosine.max("digit"), 1.0, rtol=1e-5)
        readout = np.sqrt(2) if task == "parity" else 2 * np.sqrt(0.9)
        want = readout * np.array([3.0, 2.0, 1.0]) * sign
        np.testing.assert_allclose(part.amplitude, want, rtol=1e-5)


def test_cosines_of_trained_networks_are_drawn(trained):
    found = mean_cosines(trained, neurons=8)
    assert dict(found.sizes) == {
        "task": 2,
        "exponent": 2,
        "digit": 10,
        "neuron": 8,
    }
    assert float(np.abs(found.cosine).max()) <= 1 + 1e-12
    assert (np.diff(np.abs(found.amplitude), axis=-1) <= 0).all()
    assert len(figure(found.assign_attrs(plot="mnist_cosines")).axes) == 5
    # More neurons than there are: all of them.
    assert mean_cosines(trained, neurons=100).sizes["neuron"] == 24


# --- features -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """Twenty separated categories that make ten classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 20
    features = 4 * np.eye(20)[labels] + 0.2 * rng.normal(size=(400, 20))
    path = tmp_path_factory.mktemp("features") / "blobs.npz"
    np.savez(path, features=features.astype(np.float32), labels=labels)
    return path


@pytest.fixture(scope="module")
def on_features(blobs):
    return train_on_features(
        blobs,
        exponents=(1.0,),
        seeds=(0,),
        width=40,
        epochs=60,
        batch=40,
        points=20,
        radii=RADII,
        steps=10,
        root="test",
        tick=quiet,
    )


def test_networks_on_features_give_the_same_table(on_features):
    assert on_features.task.values.tolist() == ["features"]
    assert on_features.attrs["samples"] == 320
    assert float(on_features.accuracy.min()) > 0.95
    robust = on_features.robust_accuracy
    assert (robust.sel(curve="upper") >= robust.sel(curve="certified")).all()
    # Categories lie 4 sqrt(2) apart: a radius of 0.05 in each coordinate is small.
    assert float(robust.sel(curve="certified", radius=0.05).min()) > 0.8
    assert len(figure(on_features).axes) == 4


def test_networks_on_features_have_no_output_bias(blobs, monkeypatch):
    asked = []
    monkeypatch.setattr(
        _features, "train_classifiers", lambda *_, **options: asked.append(options)
    )
    monkeypatch.setattr(_features, "robust_accuracies", lambda *_, **__: xr.Dataset())
    train_on_features(
        blobs,
        exponents=(1.0,),
        seeds=(0,),
        width=4,
        epochs=1,
        batch=4,
        points=2,
        radii=RADII,
        steps=1,
        root="test",
        tick=quiet,
    )
    assert [options["output_bias"] for options in asked] == [False]


def load_script():
    spec = importlib.util.spec_from_file_location("features_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_script_leaves_a_figure_with_its_data(
    on_features, tmp_path, capsys, monkeypatch
):
    script, asked = load_script(), []

    def trained(path, **options):
        asked.append((path, options))
        return on_features

    monkeypatch.setattr(script, "train_on_features", trained)
    out = tmp_path / "out"
    sizes = "--seeds 2 --points 5 --width 8 --exponents 1 3 --largest 0.4"
    assert script.main(["some.npz", "--out", str(out), *sizes.split()]) == 0
    [(path, options)] = asked
    assert path == pathlib.Path("some.npz")
    options.pop("tick")("a line")
    radii = options.pop("radii")
    assert (len(radii), radii[0], radii[-1]) == (15, 0.0, 0.4)
    assert options == {
        "exponents": [1.0, 3.0],
        "seeds": range(2),
        "width": 8,
        "epochs": 51,
        "batch": 1000,
        "points": 5,
        "steps": 100,
        "superclasses": 10,
        "root": "features",
    }
    kept = open_results(out / "data" / "features.nc")
    assert kept.attrs["plot"] == "mnist"
    assert kept.attrs["seed_last"] == 1
    np.testing.assert_array_equal(kept.robust_accuracy, on_features.robust_accuracy)
    assert {path.name for path in out.iterdir()} >= {"features.pdf", "features.png"}
    printed = capsys.readouterr().out
    assert "a line" in printed
    assert "features.png" in printed


def test_the_script_refuses_a_file_that_is_none(tmp_path, capsys):
    missing = tmp_path / "none.npz"
    assert load_script().main([str(missing), "--out", str(tmp_path / "out")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_script_runs_the_paper_s_protocol():
    paper = load_script().PAPER
    assert paper["exponents"] == (1.0, 2.0, 3.0, 4.0)
    assert (paper["width"], paper["epochs"], paper["batch"]) == (2000, 51, 1000)
    assert paper["superclasses"] == 10
