"""Networks of other layouts: named, transposed, centred, and never guessed at."""

import re
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxbias._checks import InputError
from jaxbias.networks import LeakyReLU, Power, PReLU, ReLU, read

UNITS, INPUTS, CLASSES = 6, 4, 3


def drawn(seed=0, units=UNITS, inputs=INPUTS, classes=CLASSES):
    """Arrays of a centred network with several outputs, in no file's layout."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal
    return {
        "first": normal((units, inputs)),
        "bias": normal(units),
        "last": normal((classes, units)),
        "shift": normal(classes),
        "centre": normal(inputs),
    }


def forward(inputs, first, last, bias=0.0, shift=0.0, centre=0.0, power=1.0):
    """The plain formula in NumPy: first (units, inputs), last (classes, units)."""
    units = np.maximum((inputs - centre) @ first.T + bias, 0) ** power
    return units @ np.atleast_2d(last).T + shift


def assert_computes(network, want, tolerance=1e-12):
    inputs = np.random.default_rng(7).standard_normal((30, network.hidden.shape[1]))
    found = np.asarray(network(jnp.asarray(inputs, network.hidden.dtype)))
    want = want(inputs)
    want = want[:, 0] if want.shape[1] == 1 else want
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, tolerance, tolerance * np.abs(want).max())


def written(folder, **arrays):
    np.savez(folder / "net.npz", **arrays)
    return folder / "net.npz"


def refused(path, activation=ReLU(), **options):  # noqa: B008
    with pytest.raises(InputError) as caught:
        read(path, activation, **options)
    assert len(str(caught.value)) < 900
    return caught.value


def answer(error):
    """The words for a shell that an error tells, as the options of the reader."""
    said = re.search(r"in a shell (--.*?)(, or|$)", error.fix)
    assert said, error.fix
    options: dict = {}
    for flag, value in re.findall(r"--([a-z-]+)(?: ([^- ]\S*))?", said[1]):
        if flag in ("transpose", "no-transpose"):
            options["transpose"] = flag == "transpose"
        elif flag == "ignore":
            options.setdefault("ignore", []).append(value)
        else:
            options[flag.replace("-", "_")] = value
    return options


# --- layouts of strangers -------------------------------------------------------------


def test_a_centred_matrix_before_a_linear_layer(tmp_path):
    a = drawn()
    path = written(
        tmp_path,
        W=a["first"].T,
        center=a["centre"],
        weight=a["last"],
        bias=a["shift"],
    )
    want = lambda x: forward(
        x, a["first"], a["last"], shift=a["shift"], centre=a["centre"]
    )
    error = refused(path)
    assert "W (4, 6), center (4,)" in str(error)
    told = answer(error)
    assert told.pop("transpose", True)
    assert told == {
        "hidden": "W",
        "output": "weight",
        "output_bias": "bias",
        "subtract": "center",
    }
    assert_computes(read(path, ReLU(), **told), want)
    # Shapes tell the orientation, and a bias beside its weight needs no name.
    assert_computes(read(path, ReLU(), hidden="W", subtract="center"), want)
    whole = {"hidden": "W", "subtract": "center", "transpose": True}
    assert_computes(read(path, ReLU(), **whole), want)
    assert "do not fit together" in str(
        refused(path, hidden="W", subtract="center", transpose=False)
    )


@pytest.mark.parametrize("across", [False, True])
def test_a_fixed_readout_among_three_arrays(across, tmp_path):
    a = drawn(classes=1)
    matrix = a["first"].T if across else a["first"]
    path = written(tmp_path, W=matrix, b=a["bias"], a=a["last"][0])
    want = lambda x: forward(x, a["first"], a["last"], a["bias"])
    named = {"hidden": "W", "output": "a", "hidden_bias": "b"}
    assert_computes(read(path, ReLU(), **named), want)
    told = answer(refused(path))
    assert {role: told[role] for role in named} == named
    assert_computes(read(path, ReLU(), **told), want)
    # A bias that is left out would be another network.
    error = refused(path, hidden="W", output="a")
    assert "b (6,), not named" in str(error)
    assert "--ignore b" in error.fix
    assert_computes(
        read(path, ReLU(), hidden="W", output="a", ignore="b"),
        lambda x: forward(x, a["first"], a["last"]),
    )


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("classes", [1, 3])
def test_two_matrices_and_a_second_readout_to_choose(across, classes, tmp_path):
    a, other = drawn(classes=classes), drawn(1, classes=classes)
    turn = (lambda array: array.T) if across else (lambda array: array)
    arrays = {"W_in": turn(a["first"]), "W_out": turn(a["last"])}
    path = written(tmp_path, **arrays)
    want = lambda x: forward(x, a["first"], a["last"])
    assert_computes(read(path, ReLU(), **answer(refused(path))), want)
    path = written(tmp_path, **arrays, W_out_ema=turn(other["last"]))
    told = answer(refused(path))
    assert told["ignore"] == ["W_out_ema"]
    assert_computes(read(path, ReLU(), **told), want)
    names = {"hidden": "W_in", "output": "W_out_ema", "ignore": ("W_out",)}
    assert_computes(
        read(path, ReLU(), **names), lambda x: forward(x, a["first"], other["last"])
    )


def test_a_buffer_beside_a_linear_layer_is_its_readout(tmp_path):
    a = drawn(classes=1)
    arrays = {"fc.weight": a["first"], "fc.bias": a["bias"], "votes": a["last"][0]}
    path = written(tmp_path, **arrays)
    network = read(path, ReLU(), output="votes")
    want = lambda x: forward(x, a["first"], a["last"], a["bias"])
    assert_computes(network, want)
    assert_computes(read(path, ReLU(), **answer(refused(path))), want)


# --- shapes that fit both ways --------------------------------------------------------


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("classes", [1, 3, 6])
def test_a_square_matrix_is_asked_about(across, classes, tmp_path):
    a = drawn(inputs=UNITS, classes=classes)
    turn = (lambda array: array.T) if across else (lambda array: array)
    path = written(tmp_path, W=turn(a["first"]), V=turn(a["last"]))
    error = refused(path, hidden="W", output="V")
    assert "fit both as (outputs, inputs) and as (inputs, outputs)" in str(error)
    assert "--no-transpose or --transpose" in error.fix
    network = read(path, ReLU(), hidden="W", output="V", transpose=across)
    assert_computes(network, lambda x: forward(x, a["first"], a["last"]))


def test_names_of_known_conventions_tell_of_squares(tmp_path):
    a = drawn(inputs=UNITS, classes=UNITS)
    want = lambda x: forward(x, a["first"], a["last"])
    named = {"hidden": "0.weight", "output": "1.weight"}
    path = written(tmp_path, **{"0.weight": a["first"], "1.weight": a["last"]})
    assert_computes(read(path, ReLU(), **named), want)
    named = {"hidden": "0.kernel", "output": "1.kernel"}
    path = written(tmp_path, **{"0.kernel": a["first"].T, "1.kernel": a["last"].T})
    assert_computes(read(path, ReLU(), **named), want)
    path = written(tmp_path, hidden=a["first"].T, V=a["last"])
    assert_computes(
        read(path, ReLU(), output="V", transpose=True),
        lambda x: forward(x, a["first"], a["last"].T),
    )


def test_only_the_readout_or_a_bias_can_tell_the_orientation(tmp_path):
    a = drawn(classes=1)
    path = written(tmp_path, W=a["first"].T)
    error = refused(path, hidden="W", output="halves")
    assert "fit both" in str(error)
    votes = np.array([[1, 1, 1, -1, -1, -1]]) / 3
    for more in ({"transpose": True, "output": "halves"}, {"output": votes[0]}):
        network = read(path, ReLU(), hidden="W", **more)
        assert_computes(network, lambda x: forward(x, a["first"], votes))
        assert not isinstance(network.output, nnx.Param)
    told = answer(refused(path))
    assert told.pop("transpose") is False
    assert told == {"hidden": "W", "output": "halves"}


# --- the centre -----------------------------------------------------------------------


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(
    "activation", [ReLU(), LeakyReLU(0.2), Power(2), PReLU(1.5), PReLU(3)]
)
def test_a_centre_moves_the_biases_and_nothing_else(
    activation, classes, biased, tmp_path
):
    a = drawn(classes=classes)
    a["first"][2], a["bias"][2] = 0.0, 0.0  # a neuron of norm 0
    arrays = {"hidden": a["first"], "output": a["last"].T}
    arrays |= {"hidden_bias": a["bias"]} if biased else {}
    plain = read(written(tmp_path, **arrays), activation)
    network = read(
        written(tmp_path, **arrays, mean=a["centre"]), activation, subtract="mean"
    )
    inputs = np.random.default_rng(7).standard_normal((30, INPUTS))
    found = network(jnp.asarray(inputs))
    want = plain(jnp.asarray(inputs - a["centre"]))
    np.testing.assert_allclose(found, want, 1e-11, 1e-11 * np.abs(want).max())


def test_one_number_is_a_centre_and_others_are_refused(tmp_path):
    a = drawn()
    arrays = {"hidden": a["first"], "output": a["last"].T}
    for shape in ((), (1,), (1, 1)):
        path = written(tmp_path, **arrays, mean=np.full(shape, 0.5))
        network = read(path, ReLU(), subtract="mean")
        want = lambda x: forward(x, a["first"], a["last"], centre=0.5)
        assert_computes(network, want)
    for centre, told in (
        (np.ones(5), "of shape (5,) to subtract"),
        (np.full(4, np.nan), "NaN or infinite"),
        (np.full(4, "a"), "real numbers"),
    ):
        path = written(tmp_path, **arrays, mean=centre)
        assert told in str(refused(path, subtract="mean"))
    path = written(tmp_path, **arrays, mean=np.ones(4), normalise_inputs=True)
    assert "no two-layer network" in str(refused(path, PReLU(2), subtract="mean"))
    assert read(path, ReLU(), subtract="mean").normalise_inputs


def test_a_moved_bias_of_single_precision_is_not_rounded(tmp_path):
    a = {name: array.astype(np.float32) for name, array in drawn().items()}
    arrays = {"hidden": a["first"], "output": a["last"].T}
    path = written(tmp_path, **arrays, mean=100 * a["centre"])
    network = read(path, ReLU(), subtract="mean")
    wide = {name: array.astype(np.float64) for name, array in a.items()}
    centre = (100 * a["centre"]).astype(np.float64)
    want = lambda x: forward(x, wide["first"], wide["last"], centre=centre)
    assert_computes(network, want)
    with jax.enable_x64(False):
        network = read(path, ReLU(), subtract="mean")
        assert network.hidden.dtype == np.float32
        assert_computes(network, want, 1e-4)


def test_a_module_that_centres_is_held_against_its_own_outputs():
    class Centred(nnx.Module):
        def __init__(self, scale):
            self.scale = scale
            self.into = nnx.Linear(4, 7, rngs=nnx.Rngs(0))
            self.out = nnx.Linear(7, 1, rngs=nnx.Rngs(1))
            self.mean = nnx.Variable(jnp.arange(4, dtype=jnp.float32))

        def __call__(self, x):
            return self.out(nnx.relu(self.into(x - self.scale * self.mean[...][None])))

    inputs = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    net = Centred(1.0)
    network = read(net, ReLU(), subtract="mean")
    want = np.asarray(net(jnp.asarray(inputs)))[:, 0]
    found = network(jnp.asarray(inputs, network.hidden.dtype))
    np.testing.assert_allclose(found, want, 1e-5, 1e-5)
    assert "another function" in str(refused(Centred(2.0), subtract="mean"))


# --- names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hidden": "w"}, "hidden='w'"),
        ({"output": "halfs"}, "Try output='halves'"),
        ({"subtract": "centre"}, "Try subtract='center'"),
        ({"ignore": ("step",)}, "ignore='step'"),
        ({"hidden": "W", "output": "W"}, "'W' given twice"),
        ({"hidden": "W", "ignore": ("W",)}, "'W' given twice"),
        ({"hidden": "W", "output": "a"}, "b (6,), center (4,), not named"),
        ({"hidden": "b", "output": "a"}, "hidden='b' of shape (6,)"),
        ({"hidden": "b", "output": "a"}, "Try names as in read(path, activation, hid"),
        (
            {"hidden": "W", "output": "a", "hidden_bias": "center", "ignore": ["b"]},
            "do not fit",
        ),
        ({"hidden": "W"}, "which of them is the output layer is not guessed"),
        ({"transpose": True}, "which of them is the hidden layer is not guessed"),
        ({"part": "ema"}, "part='ema'"),
    ],
)
def test_names_that_do_not_work_are_told_with_shapes(options, told, tmp_path):
    a = drawn(classes=1)
    arrays = {"W": a["first"], "b": a["bias"], "a": a["last"][0]}
    path = written(tmp_path, **arrays, center=a["centre"])
    error = refused(path, **options)
    assert told in str(error)
    assert "a (6,)" in str(error) or "W" in str(error)


@pytest.mark.parametrize("options", [{}, {"hidden": "a1", "output": "a2"}])
def test_thousands_of_arrays_are_refused_at_once(options, tmp_path):
    path = written(tmp_path, **{f"a{i}": np.ones((6, 4)) for i in range(1000)})
    before = time.perf_counter()
    error = refused(path, **options)
    # All pairs of them, with places for all others, took minutes.
    assert time.perf_counter() - before < 10
    assert "numpy.savez(" in error.fix


def test_a_part_with_a_typo_is_answered_with_the_nearest(tmp_path):
    a = drawn()
    both = {
        f"{part}/{name}": a[key]
        for part in ("model", "ema")
        for name, key in (("fc1.weight", "first"), ("fc2.weight", "last"))
    }
    path = written(tmp_path, **both)
    assert refused(path, part="emma").fix == "part='ema'"
    assert refused(path, part="zzzz").fix == "part='model'"


def test_two_copies_in_an_archive_are_a_question(tmp_path):
    a, other = drawn(), drawn(1)
    for names in (("fc1.weight", "fc2.weight"), ("W", "V")):
        both = {
            f"{part}/{name}": arrays[key]
            for part, arrays in (("model", a), ("ema", other))
            for name, key in zip(names, ("first", "last"), strict=True)
        }
        path = written(tmp_path, **both)
        error = refused(path)
        assert "'model' and 'ema'" in str(error)
        assert error.fix == "part='model', in a shell --part model"
        named = {"hidden": "W", "output": "V"} if "W" in names else {}
        network = read(path, ReLU(), part="ema", **named)
        want = lambda x: forward(x, other["first"], other["last"])
        assert_computes(network, want)


def test_layers_alike_are_no_copies(tmp_path):
    a = drawn(inputs=UNITS, classes=UNITS)
    arrays = {"fc1.weight": a["first"], "fc1.bias": a["bias"]}
    arrays |= {"fc2.weight": a["last"], "fc2.bias": a["shift"]}
    want = lambda x: forward(x, a["first"], a["last"], a["bias"], a["shift"])
    assert_computes(read(written(tmp_path, **arrays), ReLU()), want)


_names = st.sampled_from(
    "W b a center fc.weight fc.bias W_out out.kernel mean scale".split()
)
_shapes = st.sampled_from([(), (1,), (3,), (4,), (3, 4), (4, 3), (4, 4), (2, 3, 4)])
_options = st.fixed_dictionaries(
    {},
    optional={
        "hidden": _names,
        "output": st.one_of(_names, st.just("halves")),
        "hidden_bias": _names,
        "subtract": _names,
        "transpose": st.booleans(),
        "ignore": st.lists(_names, max_size=2),
    },
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(_names, _shapes, max_size=5), _options)
def test_any_arrays_and_names_are_a_network_or_one_line(tmp_path, shapes, options):
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    path = written(tmp_path, **arrays)
    try:
        network = read(path, ReLU(), **options)
    except InputError as error:
        fix = str(error.fix)
    else:
        assert network.hidden.ndim == 2
        return
    # What an unknown layout is told to try, works, or is a question itself.
    if not options and fix.startswith("names as"):
        try:
            read(path, ReLU(), **answer(InputError("", "", fix)))
        except InputError as error:
            raise AssertionError(f"{shapes}: {fix}: {error}") from error
