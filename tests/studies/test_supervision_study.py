"""Class labels against cluster labels: four separated clusters stand in for images."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import digits
from jaxbias.networks import PReLU, TwoLayer, TwoLayerNetwork, Weights
from jaxbias.networks.initialization import torch_uniform
from jaxbias.plots import figure
from jaxbias.studies import _classifiers, _supervision
from jaxbias.studies._classifiers import Classifiers
from jaxbias.studies._report import Folder
from jaxbias.studies._supervised import (
    DIGITS,
    DIGITS_PAPER,
    MNIST,
    Supervision,
    images,
    sides,
    train_supervised,
)
from jaxbias.studies._supervision import averages, draw, parts, read_out, supervision

CLUSTERS, DIM = 4, 6


def quiet(what):
    assert isinstance(what, str)


def clouds(path, classes):
    """Rows about scaled unit vectors, one a class."""
    rng = np.random.default_rng(0)
    rows = 2 * np.eye(DIM)[np.asarray(classes) % DIM]
    rows = rows + 0.2 * rng.normal(size=rows.shape)
    np.savez(path, features=rows.astype(np.float32), labels=classes)
    return str(path)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("features") / "clouds.npz"
    return Supervision(
        data="features",
        path=clouds(path, np.arange(200) % CLUSTERS),
        width=24,
        epochs=40,
        batch=40,
        points=12,
        largest=1.6,
        budgets=3,
        steps=4,
    )


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def trained(settings, told):
    return train_supervised(settings, root="test", tick=told.append)


@pytest.fixture(scope="module")
def table(trained, settings, told):
    return read_out(trained, settings, root="test", tick=told.append)


def outputs(network, rows):
    """By the formula, in NumPy."""
    weights = network.weights()
    w, v, b = (
        np.asarray(a, float)
        for a in (weights.hidden, weights.output, weights.output_bias)
    )
    return np.maximum(np.asarray(rows, float) @ w.T, 0) @ v + b


def margins(trained, task, readout, seed, rows, classes):
    """Of each read-out, classes and labels in their own order."""
    side = sides(task, CLUSTERS)
    name = task if readout == "class" else "clusters"
    logits = outputs(trained.networks[name, 1.0, seed], rows)
    groups = [[0], [1]] if readout == "class" else [side == 0, side == 1]
    total = np.sum if readout == "sum" else np.max
    first, second = (total(logits[:, group], axis=1) for group in groups)
    return (1 - 2 * side[classes]) * (first - second)


# --- the protocol ---------------------------------------------------------------------


def test_tasks_join_classes_to_two_labels():
    assert sides("parity", 10).tolist() == [0, 1] * 5
    assert sides("halves", 10).tolist() == [0] * 5 + [1] * 5
    assert sides("halves", 5).tolist() == [0, 0, 1, 1, 1]


def test_networks_differ_in_their_labels_alone(settings, monkeypatch):
    asked = []
    network = TwoLayer(2, PReLU(1.0), torch_uniform(), classes=2)

    def noted(train, exponent, **options):
        asked.append((train, exponent, options))
        return network.build(jax.random.key(0), 2)

    monkeypatch.setattr(_classifiers, "train_on_images", noted)
    train_supervised(settings, root="test", tick=quiet)
    assert len(asked) == 3 * settings.seeds
    by_seed = {}
    for train, exponent, options in asked:
        keys = options.pop("key"), options.pop("batch_key")
        name = tuple(np.asarray(jax.random.key_data(k)).tobytes() for k in keys)
        classes = options.pop("classes")
        same = by_seed.setdefault(name, (np.asarray(train.inputs), options, {}))
        np.testing.assert_array_equal(train.inputs, same[0])
        assert options == same[1]
        assert exponent == 1.0
        same[2][train.labels.tobytes() if classes == 2 else "all"] = classes
    assert len(by_seed) == settings.seeds
    assert all(sorted(n.values()) == [2, 2, 4] for *_, n in by_seed.values())


def test_hidden_weights_start_the_same_whatever_the_number_of_outputs():
    build = lambda classes: TwoLayer(5, PReLU(1.0), torch_uniform(), classes=classes)
    first, second = (build(k).draw(jax.random.key(3), 7) for k in (2, 10))
    np.testing.assert_array_equal(first.hidden, second.hidden)


def test_digits_are_read_as_classes():
    train, test = images(DIGITS)
    want = digits("class", dtype="float32")
    for got, expected in zip((train, test), want, strict=True):
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.inputs, expected.inputs)


def test_features_keep_their_own_classes(settings):
    train, test = images(settings)
    assert (train.samples, test.samples, train.dim) == (160, 40, DIM)
    assert np.unique(train.labels).tolist() == list(range(CLUSTERS))
    nearest = np.argmax(np.asarray(test.inputs)[:, :CLUSTERS], axis=1)
    np.testing.assert_array_equal(nearest, test.labels)


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 3]])
def test_classes_that_cannot_be_joined_are_refused(classes, tmp_path):
    path = clouds(tmp_path / "few.npz", np.resize(classes, 60))
    with pytest.raises(InputError, match="numpy.unique"):
        images(Supervision(data="features", path=path))


def test_without_the_files_of_mnist_the_loader_says_so(monkeypatch):
    monkeypatch.delenv("JAXBIAS_DATA", raising=False)
    with pytest.raises(InputError, match="JAXBIAS_DATA"):
        supervision(MNIST, root="test", tick=quiet)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"data": "mnits"}, "mnist"),
        ({"tasks": ("parity", "thirds")}, "halves"),
        ({"data": "features"}, "features.npz"),
        ({"path": "x.npz"}, "features.npz"),
        ({"seeds": 2}, "seeds=3"),
        ({"budgets": 1}, "budgets=2"),
        ({"points": 0}, "points"),
        ({"largest": 0.0}, "largest=1.2"),
    ],
)
def test_a_protocol_that_cannot_be_run_is_refused(wrong, word):
    with pytest.raises(InputError, match=word):
        dataclasses.replace(DIGITS, **wrong)


# --- the table ------------------------------------------------------------------------


def test_every_part_is_told(settings, table, told):
    assert table.sizes["seed"] == 3
    assert len(told) == parts(settings) == 3 * (3 + 6)


def test_clean_accuracies_are_those_of_numpy(trained, table):
    test = trained.data["clusters"][1]
    for task, readout, seed in np.ndindex(2, 3, 3):
        at = table.accuracy[task, readout, seed]
        names = str(at.task.values), str(at.readout.values)
        values = margins(trained, *names, seed, test.inputs, np.asarray(test.labels))
        assert float(at) == pytest.approx(np.mean(values > 0))
    assert float(table.accuracy.sel(readout=["class", "max"]).min()) > 0.9


def test_the_three_curves_bound_each_other(settings, table):
    robust = table.robust_accuracy
    paper, upper, certified = (robust.sel(curve=c, drop=True) for c in table.curve)
    budgets = np.linspace(0, settings.largest, settings.budgets)
    assert (upper >= certified).all()
    assert (
        paper.sel(radius=budgets, method="nearest")
        >= upper.sel(radius=budgets, method="nearest")
    ).all()
    run = np.isfinite(paper).all(("task", "readout", "seed"))
    np.testing.assert_allclose(table.radius[run], budgets)
    for curve in (upper, certified):
        assert (curve.diff("radius") <= 0).all()
    np.testing.assert_array_equal(upper.sel(radius=0), certified.sel(radius=0))


def test_medians_are_where_the_curves_cross_one_half(table):
    step = float(table.radius[1])
    for end in ("certified", "upper"):
        curve = table.robust_accuracy.sel(curve=end)
        crossing = (curve > 0.5).sum("radius") * step
        gap = np.abs(crossing - table.median_radius.sel(end=end))
        # Of an even number of points the median lies between two.
        between = (curve == 0.5).sum("radius") * step
        assert (gap <= step + between).all()
    low, high = (table.median_radius.sel(end=e) for e in ("certified", "upper"))
    assert (low <= high).all()
    assert (low > 0).all()


def test_nothing_breaks_what_is_certified(trained, settings, table):
    rng = np.random.default_rng(0)
    test = trained.data["clusters"][1]
    rows, classes = np.asarray(test.inputs, float), np.asarray(test.labels)
    chosen = _supervision._evenly(classes, settings.points)
    steps = rng.normal(size=(200, len(chosen), DIM))
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    for t, r in np.ndindex(2, 3):
        curve = table.robust_accuracy[t, r].sel(curve="certified", seed=1)
        reach = float(curve.radius[int((curve > 0.5).sum()) - 1])
        names = str(table.task.values[t]), str(table.readout.values[r])
        kept = [
            margins(trained, *names, 1, rows[chosen] + reach * s, classes[chosen]) > 0
            for s in steps
        ]
        assert np.all(kept, axis=0).mean() >= float(curve.sel(radius=reach))


def test_points_are_the_first_of_every_class():
    labels = np.array([2, 0, 0, 1, 2, 0, 2, 1])
    assert _supervision._evenly(labels, 6).tolist() == [0, 1, 2, 3, 4, 7]
    assert _supervision._evenly(labels, 1).tolist() == [0, 1, 3]


def test_the_table_says_how_it_came_about_and_is_drawn(table):
    assert table.attrs == {
        "width": 24,
        "epochs": 40,
        "batch": 40,
        "data": "features",
        "classes": CLUSTERS,
        "attack_steps": 4,
        "samples": 160,
        "test_samples": 40,
        "points": 12,
        "plot": "supervision",
    }
    assert len(figure(table).axes) == 8


# --- cosines --------------------------------------------------------------------------


@pytest.fixture
def planted(settings, trained):
    """Neurons at the class means; in the networks of two labels, at their averages."""
    train = trained.data["clusters"][0]
    rows, names = np.asarray(train.inputs, float), np.asarray(train.labels)
    means = np.stack([rows[names == k].mean(axis=0) for k in range(CLUSTERS)])
    networks = {}
    for name in ("clusters", "parity", "halves"):
        side = np.arange(CLUSTERS) if name == "clusters" else sides(name, CLUSTERS)
        hidden = np.stack([means[side == k].mean(axis=0) for k in np.unique(side)])
        # A constant added to all outputs decides nothing.
        output = np.eye(len(hidden)) + 3.0
        first, second = (jnp.asarray(a, jnp.float32) for a in (hidden, output))
        bias = jnp.zeros(len(hidden), jnp.float32)
        weights = Weights(first, second, None, bias, jnp.ones(len(hidden), bool))
        for seed in range(3):
            networks[name, 1.0, seed] = TwoLayerNetwork(weights, PReLU(1.0))
    return Classifiers(networks, trained.data, trained.about), means


def test_averages_of_planted_groups(planted, settings):
    network, means = planted
    found = averages(network, settings)
    assert found.training.values.tolist() == ["parity", "halves", "clusters"]
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    clusters = found.cosine.sel(training="clusters", seed=0)
    np.testing.assert_allclose(clusters, unit @ unit.T, atol=1e-5)
    for task in ("parity", "halves"):
        owner = found.owner.sel(training=task).values
        np.testing.assert_array_equal(owner, sides(task, CLUSTERS))
        part = found.cosine.sel(training=task, seed=2)
        assert np.isnan(part[2:]).all()
        for group in (0, 1):
            mean = means[owner == group].mean(axis=0)
            want = unit @ (mean / np.linalg.norm(mean))
            np.testing.assert_allclose(part[group], want, atol=1e-5)


def test_both_figures_are_drawn(trained, settings, table, tmp_path, monkeypatch):
    monkeypatch.setattr(_supervision, "train_supervised", lambda *_, **__: trained)
    monkeypatch.setattr(_supervision, "read_out", lambda *_, **__: table)
    folder = Folder(tmp_path, settings, range(settings.seeds))
    draw(settings, folder, root="test", tick=quiet)
    names = {path.name for path in folder.figures}
    stem = "supervision_features"
    assert {f"{stem}.png", f"{stem}_cosines.png"} <= names
    assert (pathlib.Path(tmp_path) / "data" / f"{stem}_cosines.nc").is_file()


def test_the_sizes_are_those_of_the_image_experiments():
    assert DIGITS_PAPER.seeds >= DIGITS.seeds >= 3
    assert (MNIST.width, MNIST.batch, MNIST.epochs) == (500, 1000, 51)
    assert {s.tasks for s in (DIGITS, MNIST)} == {("parity", "halves")}
