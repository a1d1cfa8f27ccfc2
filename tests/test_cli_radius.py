"""``jaxbias radius``: files in, a table or one document out, one line for errors."""

import json
import os
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from jaxbias import cli, cli_commands, cli_points, cli_radius
from jaxbias._checks import InputError
from jaxbias.cli_arguments import Radius, parse
from jaxbias.networks import PReLU, ReLU, Weights, readouts
from jaxbias.robustness import radius

RELU = ("--activation", "relu")


def arrays(classes=1):
    rng = np.random.default_rng(classes)
    return {
        "0.weight": rng.standard_normal((6, 3)),
        "0.bias": rng.standard_normal(6),
        "2.weight": rng.standard_normal((classes, 6)),
        "2.bias": rng.standard_normal(classes),
    }


def forward(net, points):
    hidden = np.maximum(points @ net["0.weight"].T + net["0.bias"], 0)
    return hidden @ net["2.weight"].T + net["2.bias"]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Networks with one and three outputs, and points of both; JAX stays as it is."""
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    points = np.random.default_rng(5).standard_normal((7, 3))
    for name, classes in (("one", 1), ("three", 3)):
        net = arrays(classes)
        outputs = forward(net, points)
        np.savez(tmp_path / f"{name}.npz", **net)
        labels = np.sign(outputs[:, 0]) if classes == 1 else outputs.argmax(1)
        if classes == 1:
            labels[0] *= -1  # wrong from the start
        np.savez(tmp_path / f"{name}-data.npz", inputs=points, labels=labels)
        np.savez(tmp_path / f"{name}-xy.npz", x=points, y=labels[:, None], more=1)
        cubes = points.reshape(7, 1, 3)
        np.savez(tmp_path / f"{name}-images.npz", images=cubes, labels=labels)
        table = np.column_stack([points, labels])
        np.savetxt(tmp_path / f"{name}.csv", table, "%.17g", ",")
        head = {"header": "a,b,c,label", "comments": ""}
        np.savetxt(tmp_path / f"{name}-head.csv", table, "%.17g", ",", **head)
    np.savez(tmp_path / "01.npz", inputs=points, labels=np.arange(7) % 2)
    np.savez(tmp_path / "short.npz", inputs=points, labels=np.ones(5))
    np.savez(tmp_path / "wide.npz", inputs=np.ones((7, 4)), labels=np.ones(7))
    np.savez(tmp_path / "words.npz", inputs=points, labels=np.full(7, "cat"))
    np.savez(tmp_path / "nan.npz", inputs=points * np.nan, labels=np.ones(7))
    np.savez(tmp_path / "names.npz", points=points, classes=np.ones(7))
    np.savez(tmp_path / "number.npz", inputs=points, labels=np.ones(()))
    np.savez(tmp_path / "objects.npz", inputs=np.array([{}]), labels=np.ones(1))
    deep = {f"{i}.weight": np.ones((3, 3)) for i in range(3)}
    np.savez(tmp_path / "deep.npz", **deep)
    np.savez(tmp_path / "first.npz", hidden=arrays()["0.weight"])
    (tmp_path / "empty.csv").write_text("a,b,label\n")
    (tmp_path / "column.csv").write_text("1\n2\n")
    (tmp_path / "ragged.csv").write_text("1,2,1\n1,2\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe1,2")
    (tmp_path / "folder").mkdir()
    return tmp_path


def run(places, capsys, *words):
    """Exit status and what was printed; @ is the folder of the test's files."""
    named = [str(word).replace("@", f"{places}/") for word in words]
    status = cli.main(["radius", *named])
    said = capsys.readouterr()
    return status, said.out, said.err


def expected(places, name="one", limit=None, **options):
    """The same radii, from weights that no reader has touched."""
    import jax.numpy as jnp

    data = np.load(places / f"{name}-data.npz")
    net = arrays(1 if name == "one" else 3)
    second, shift = net["2.weight"], net["2.bias"]
    weights = Weights(
        jnp.asarray(net["0.weight"]),
        jnp.asarray(second[0] if name == "one" else second.T),
        jnp.asarray(net["0.bias"]),
        jnp.asarray(shift[0] if name == "one" else shift),
        jnp.ones(6, bool),
    )
    options.setdefault("activation", ReLU())
    return radius(weights, data["inputs"][:limit], data["labels"][:limit], **options)


# --- what comes out -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "three"])
@pytest.mark.parametrize("order", ["2", "inf"])
def test_the_document_holds_the_radii_of_the_network(name, order, places, capsys):
    words = (f"@{name}.npz", f"@{name}-data.npz", *RELU, "--order", order, "--json")
    status, out, err = run(places, capsys, *words)
    assert (status, err) == (0, "")
    found = json.loads(out)
    exact = expected(places, name, order=float(order))
    assert (found["order"], found["effort"], found["tie"]) == (order, "bounds", "<=")
    assert found["readout"] == exact.readout
    assert found["network"] == str(places / f"{name}.npz")
    for field in ("lower", "upper", "margin", "method", "status", "nodes"):
        column = [point[field] for point in found["points"]]
        assert column == getattr(exact, field).tolist(), field
    assert [point["index"] for point in found["points"]] == list(range(7))
    labels = np.load(places / f"{name}-data.npz")["labels"]
    assert [point["label"] for point in found["points"]] == labels.tolist()


@pytest.mark.parametrize(
    "data", ["-data.npz", "-xy.npz", "-images.npz", ".csv", "-head.csv"]
)
@pytest.mark.parametrize("name", ["one", "three"])
def test_every_file_of_points_gives_the_same_points(name, data, places):
    whole = np.load(places / f"{name}-data.npz")
    inputs, labels = cli_points.points(places / f"{name}{data}")
    np.testing.assert_array_equal(inputs, whole["inputs"])
    np.testing.assert_array_equal(labels, whole["labels"])


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_witnesses_are_numbers_of_the_type_that_is_asked_for(dtype, places, capsys):
    words = ("@one.npz", "@one-data.npz", *RELU, "--witness-dtype", dtype, "--json")
    status, out, err = run(places, capsys, *words, "--out", "@radii.npz")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["witness_dtype"] == dtype
    with np.load(places / "radii.npz") as arrays:
        witness = arrays["witness"]
    moved = np.array([point["upper"] for point in found["points"]]) > 0
    assert (witness == witness.astype(dtype))[moved].all()
    margins = [point["margin"] for point in found["points"]]
    assert margins == expected(places, witness_dtype=dtype).margin.tolist()
    assert any(margins) is (dtype == "float16")


def test_the_table_counts_and_sums_up(places, capsys):
    words = ("@one.npz", "@one-data.npz", *RELU, "--out", "@new/radii.npz")
    status, out, err = run(places, capsys, *words)
    assert (status, err) == (0, "")
    exact = expected(places)
    assert "radii in l_2, effort bounds, readout score" in out
    for name in ("lower", "upper"):
        ends = getattr(exact, name)
        told = [f"{f(ends):.4g}" for f in (np.min, np.median, np.max)]
        assert re.search(rf"{name} +{' +'.join(map(re.escape, told))} *\n", out)
    whole = exact.upper > 0
    ratio = np.median(exact.lower[whole] / exact.upper[whole])
    assert re.search(rf"lower / upper +\S+ +{ratio:.4g} +\S+ *\n", out)
    assert re.search(r"bounds +6 *\n", out)
    assert re.search(r"broken when clean +1 *\n", out)
    assert "7 points, 14.29 % broken when clean" in out
    assert out.splitlines()[-1] == str(places / "new" / "radii.npz")


def test_the_file_that_is_written_is_the_whole_radius(places, capsys):
    words = ("@three.npz", "@three-data.npz", *RELU, "--limit", "4")
    words = (*words, "--effort", "attack", "--out", "@radii.npz")
    status, _, _ = run(places, capsys, *words)
    assert status == 0
    exact = expected(places, "three", 4, effort="attack")
    with np.load(places / "radii.npz") as found:
        words = "lower upper witness margin method status nodes"
        assert set(found) == set(words.split())
        for name, values in found.items():
            np.testing.assert_array_equal(values, getattr(exact, name))
        # The witness breaks the point it belongs to, in a forward pass by hand.
        outputs = forward(arrays(3), found["witness"])
        labels = np.load(places / "three-data.npz")["labels"][:4]
        own = outputs[np.arange(4), labels]
        outputs[np.arange(4), labels] = -np.inf
        assert (own <= outputs.max(1) + 1e-12).all()
    assert not list(places.glob(".*partial"))


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--effort attack", {"effort": "attack"}),
        ("--effort exact --order inf", {"effort": "exact", "order": np.inf}),
        ("--tie <", {"tie": "<"}),
        ("--box -9 9.5", {"box": (-9.0, 9.5)}),
        (
            "--activation prelu --exponent 2 --effort attack",
            {"activation": PReLU(2), "effort": "attack"},
        ),
    ],
)
def test_every_option_reaches_the_radius(words, options, places, capsys):
    first = () if "--activation" in words else RELU
    words = ("@one.npz", "@one-data.npz", *first, *words.split(), "--json")
    status, out, err = run(places, capsys, *words)
    assert status == 0, err
    exact = expected(places, **options)
    finite = np.where(np.isfinite(exact.upper), exact.upper, None).tolist()
    points = json.loads(out)["points"]
    assert [point["upper"] for point in points] == finite
    assert [point["lower"] for point in points] == exact.lower.tolist()


@pytest.mark.parametrize(
    ("words", "readout"),
    [
        ("", None),
        ("--readout score", readouts.Score()),
        ("--readout argmax", readouts.Argmax()),
        ("--readout group-argmax --groups 1 -1 -1", readouts.GroupArgmax((1, -1, -1))),
        ("--groups -1 1 --readout summed-logits", readouts.SummedLogits((-1, 1))),
        ("--readout probability-sum --groups 1 -1", readouts.ProbabilitySum((1, -1))),
    ],
)
def test_words_name_a_readout(words, readout):
    command = parse(["radius", "net.pt", "data.npz", *words.split()])
    assert isinstance(command, Radius)
    assert cli_radius.readout_of(command) == readout


def test_outputs_are_read_out_in_groups(places, capsys):
    groups = np.array([1, 1, -1])
    data = np.load(places / "three-data.npz")
    signs = groups[data["labels"]]
    np.savez(places / "groups.npz", inputs=data["inputs"], labels=-signs)
    words = ("@three.npz", "@groups.npz", *RELU, "--effort", "attack", "--json")
    words = (*words, "--readout", "group-argmax", "--groups", 1, 1, -1)
    status, out, _ = run(places, capsys, *words)
    assert status == 0
    found = json.loads(out)
    assert found["readout"] == "group argmax"
    # The largest output stands for the label, so every negated label is wrong.
    assert {point["status"] for point in found["points"]} == {"broken when clean"}


def test_one_layer_is_completed_by_halves(places, capsys):
    words = ("@first.npz", "@one-data.npz", *RELU, "--json")
    status, out, err = run(places, capsys, *words)
    assert (status, out) == (2, "")
    assert "--output halves" in err
    status, out, _ = run(places, capsys, *words, "--output", "halves")
    assert status == 0
    points = np.load(places / "one-data.npz")
    hidden = np.maximum(points["inputs"] @ arrays()["0.weight"].T, 0)
    scores = hidden @ np.repeat([1 / 3, -1 / 3], 3)
    broken = [p["status"] == "broken when clean" for p in json.loads(out)["points"]]
    assert broken == (scores * points["labels"] <= 0).tolist()


def test_an_activation_in_the_file_needs_no_words(places, capsys):
    np.savez(places / "own.npz", **arrays(), activation="PReLU", exponent=2)
    words = ("@own.npz", "@one-data.npz", "--effort", "attack", "--json")
    status, out, _ = run(places, capsys, *words)
    assert status == 0
    exact = expected(places, activation=PReLU(2), effort="attack")
    assert [p["upper"] for p in json.loads(out)["points"]] == exact.upper.tolist()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("", {}),
        ("--hidden W --output a", {"hidden": "W", "output": "a"}),
        ("--hidden-bias b --part ema", {"hidden_bias": "b", "part": "ema"}),
        ("--output-bias c --transpose", {"output_bias": "c", "transpose": True}),
        ("--subtract m --no-transpose", {"subtract": "m", "transpose": False}),
        ("--ignore d --ignore e", {"ignore": ("d", "e")}),
    ],
)
def test_every_name_reaches_the_reader(words, named, places, capsys, monkeypatch):
    from jaxbias import networks

    given = {}

    def read(path, activation, **names):
        given.update(names)
        raise InputError("names", "enough is known", "no more")

    monkeypatch.setattr(networks, "read", read)
    assert run(places, capsys, "@one.npz", "@one-data.npz", *words.split())[0] == 2
    roles = ("hidden", "output", "hidden_bias", "output_bias", "transpose", "subtract")
    assert given == {**dict.fromkeys((*roles, "part")), "ignore": (), **named}


def boxed_distances(weights, scores, points, low, high):
    """Least l_inf steps inside a box that take linear scores to 0, by bisection."""
    room = np.where(np.sign(scores)[:, None] * weights > 0, points - low, high - points)
    ends = np.array([np.zeros(len(points)), np.full(len(points), 2.0)])
    for _ in range(60):
        middle = ends.mean(0)
        reached = (np.abs(weights) * np.minimum(room, middle[:, None])).sum(1)
        ends = np.where(reached >= np.abs(scores), [ends[0], middle], [middle, ends[1]])
    return ends[1]


def test_a_centred_network_keeps_to_a_box_of_pixels(places, capsys):
    # relu(u) - relu(-u) = u, so the truth is that of a linear score of x - centre.
    rng = np.random.default_rng(3)
    weights, centre = rng.standard_normal(5), rng.uniform(0.3, 0.7, 5)
    stored = {"W": np.stack([weights, -weights], 1), "center": centre}
    np.savez(places / "centred.npz", **stored, a=np.array([1.0, -1.0]))
    low, high = np.zeros(5), np.array([1.0, 1.0, 0.9, 0.8, 1.0])
    np.savez(places / "box.npz", low=low, high=high)
    pixels = rng.uniform(low, high, (3, 5))
    pixels[0, :3] = low[:3]
    scores = (pixels - centre) @ weights
    np.savez(places / "pixels.npz", data=pixels, target=np.sign(scores))
    words = ("@centred.npz", "@pixels.npz", *RELU, "--order", "inf", "--json")
    status, _, err = run(places, capsys, *words)
    assert status == 2
    told = re.search(r"in a shell (--.*?)\.\n", err)
    assert told
    assert told[1] == "--hidden W --output a --subtract center --transpose"
    words = (*words, *told[1].split(), "--effort", "exact", "--box", "@box.npz")
    status, out, err = run(places, capsys, *words)
    assert (status, err) == (0, "")
    want = boxed_distances(weights, scores, pixels, low, high)
    free = np.abs(scores) / np.abs(weights).sum()
    assert (want > 1.01 * free).any(), "the box makes a difference"
    found = json.loads(out)["points"]
    np.testing.assert_allclose([p["upper"] for p in found], want, rtol=1e-5)
    assert all(p["lower"] <= w * (1 + 1e-6) for p, w in zip(found, want, strict=True))


# --- what cannot work: status 2, one line that helps ----------------------------------


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        ("", "NETWORK"),
        ("@one.npz", "DATA"),
        ("@nowhere.pt @one-data.npz", "NETWORK"),
        ("@one.npz @nowhere.npz", "DATA"),
        ("@one.npz @one-data.npz", "--activation relu"),
        ("@one.npz @one-data.npz --activation tanh", "'prelu'"),
        ("@one.npz @one-data.npz --activation prelu", "--exponent 3"),
        ("@one.npz @one-data.npz --exponent 3", "--activation prelu --exponent 3"),
        ("@one.npz @one-data.npz --activation relu --exponent 2", "prelu"),
        ("@one.npz @one-data.npz --activation power --exponent 0.5", "exponent=1"),
        ("@one.npz @01.npz R", "np.where(labels > 0, 1.0, -1.0)"),
        ("@one.npz @short.npz R", "labels of shape (7,)"),
        ("@one.npz @wide.npz R", "inputs of shape (samples, 3)"),
        ("@one.npz @words.npz R", "arrays of numbers"),
        ("@one.npz @number.npz R", "arrays of numbers"),
        ("@one.npz @nan.npz R", "NaN or infinite"),
        ("@one.npz @names.npz R", "--inputs points --label classes"),
        ("@one.npz @objects.npz R", "its arrays cannot be read"),
        ("@one.npz @empty.csv R", "it has no rows"),
        ("@one.npz @column.csv R", "it has one column"),
        ("@one.npz @ragged.csv R", "line 2 of 2 cells"),
        ("@one.npz @bytes.csv R", "text in UTF-16"),
        ("@one.npz @folder R", "it is a folder"),
        ("@folder @one-data.npz R", "no orbax checkpoint"),
        ("@one.csv @one-data.npz R", "a PyTorch state dict, a safetensors file"),
        ("@deep.npz @one-data.npz R", "3 weight matrices"),
        ("@three.npz @one-data.npz R", "class numbers from 0 to 2"),
        ("@three.npz @three-data.npz R --readout summed-logits", "--groups 1 1 -1"),
        ("@three.npz @three-data.npz R --groups 1 1 -1", "--readout group-argmax"),
        ("@three.npz @three-data.npz R --readout score", "readout=None"),
        (
            "@three.npz @three-data.npz R --readout group-argmax --groups 1 -1",
            "each of the 3",
        ),
        (
            "@three.npz @three-data.npz R --readout group-argmax --groups 1 2 3",
            "both occur",
        ),
        ("@one.npz @one-data.npz R --output halves", "without output="),
        ("@one.npz @one-data.npz R --output halfs", "2.weight (1, 6)"),
        ("@one.npz @one-data.npz R --transpose --no-transpose", "opposites"),
        ("@one.npz @one-data.npz R --part ema", "no name begins so"),
        ("@one.npz @one-data.npz R --label y", "--label y is not among them"),
        ("@one.npz @one-data.npz R --box 0", "no such file"),
        ("@one.npz @one-data.npz R --order 1", "'inf'"),
        ("@one.npz @one-data.npz R --effort exakt", "'exact'"),
        ("@one.npz @one-data.npz R --box 0 0.1", "outside the box"),
        ("@one.npz @one-data.npz R --limit 0", "--limit=1"),
        ("@one.npz @one-data.npz R --out @folder", "it is a folder"),
        ("@one.npz @one-data.npz R --out @one.csv/x.npz", "Not a directory"),
    ],
)
def test_what_cannot_work_gets_one_line_that_helps(words, helps, places, capsys):
    words = words.replace(" R", " --activation relu").split()
    status, out, err = run(places, capsys, *words)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"jaxbias: .* Try .*\n", err)
    assert helps in err


def test_a_pickle_that_would_run_code_is_refused(places, capsys):
    import pickle
    import zipfile

    class Calls:
        def __reduce__(self):
            return os.mkdir, (str(places / "ran"),)

    with zipfile.ZipFile(places / "net.pt", "w") as file:
        file.writestr("net/data.pkl", pickle.dumps(Calls()))
    status, _, err = run(places, capsys, "@net.pt", "@one-data.npz", *RELU)
    assert status == 2
    assert ".mkdir'" in err
    assert not (places / "ran").exists()


def test_words_are_refused_before_jax_is_started(places, monkeypatch):
    def never():
        raise AssertionError

    monkeypatch.setattr(cli_commands, "start_jax", never)
    there = places / "one.npz"
    with pytest.raises(InputError, match="no such file"):
        cli_commands.run(Radius(there, places / "nowhere"))
    with pytest.raises(InputError, match="--exponent 3"):
        cli_commands.run(Radius(there, there, activation="power"))


# --- in a process of its own ----------------------------------------------------------


def test_a_single_precision_pytorch_file_in_a_fresh_process(places):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU())
    model.append(torch.nn.Linear(5, 1))
    torch.save({"model": model.state_dict()}, places / "net.pt")
    with torch.no_grad():
        inputs = torch.randn(4, 3)
        labels = torch.sign(model(inputs))[:, 0]
    np.savez(places / "points.npz", x=inputs.numpy(), y=labels.numpy())
    words = ["net.pt", "points.npz", "--activation", "relu", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "jaxbias", "radius", *words],
        capture_output=True,
        text=True,
        cwd=places,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1])},
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["points"]
    assert [point["label"] for point in found] == labels.tolist()
    assert all(0 < p["lower"] and p["status"] != "broken when clean" for p in found)


def test_help_shows_the_files_and_a_whole_command(capsys):
    assert cli.main(["radius", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "NETWORK DATA" in said
    assert "jaxbias radius network.pt test.npz --activation relu" in said


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_inputs_beyond_the_type_of_the_witnesses_are_refused(dtype, places, capsys):
    np.savez(places / "far.npz", inputs=np.full((2, 3), 1e300), labels=np.ones(2))
    words = ("@one.npz", "@far.npz", *RELU, "--witness-dtype", dtype)
    status, out, err = run(places, capsys, *words)
    assert (status, out) == (2, "")
    assert f"with an input of size 1e+300: {dtype}, in which" in err


def test_a_warning_of_a_library_is_one_line(places, capsys, monkeypatch):
    def warned(*arguments, **options):
        warnings.warn("overflow\nencountered", RuntimeWarning, stacklevel=1)
        return radius(*arguments, **options)

    monkeypatch.setattr("jaxbias.robustness.radius", warned)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        words = ("@one.npz", "@one-data.npz", *RELU, "--effort", "attack", "--json")
        status, _, err = run(places, capsys, *words)
    assert status == 0
    assert "jaxbias: warning: overflow encountered\n" in err
    assert "RuntimeWarning" not in err
