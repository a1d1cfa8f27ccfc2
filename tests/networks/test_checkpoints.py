"""Networks from .npz, flax and modules, and which arrays are their two layers."""

import pathlib
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, serialization

from jaxbias._checks import InputError
from jaxbias.networks import (
    LeakyReLU,
    Power,
    PReLU,
    ReLU,
    TwoLayer,
    TwoLayerNetwork,
    balanced,
    read,
    save,
)


def drawn(classes=1, dim=4, neurons=6, seed=0):
    """Two linear layers as PyTorch stores them."""
    rng = np.random.default_rng([seed, classes])
    return {
        "first.weight": rng.standard_normal((neurons, dim)),
        "first.bias": rng.standard_normal(neurons),
        "second.weight": rng.standard_normal((classes, neurons)),
        "second.bias": rng.standard_normal(classes),
    }


def forward(arrays, inputs, exponent=1.0):
    """The plain formula in NumPy, for the arrays of ``drawn`` in their order."""
    first, bias, second, shift = arrays
    outputs = np.maximum(inputs @ first.T + bias, 0) ** exponent @ second.T + shift
    return outputs[:, 0] if len(second) == 1 else outputs


def assert_same(network, arrays, exponent=1.0, tolerance=1e-12):
    arrays = [np.asarray(array, np.float64) for array in arrays]
    inputs = np.random.default_rng(7).standard_normal((20, arrays[0].shape[1]))
    outputs = network(jnp.asarray(inputs, network.hidden.dtype))
    expected = forward(arrays, inputs, exponent)
    scale = np.abs(expected).max()
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, tolerance, tolerance * scale)


def written(folder, **arrays):
    np.savez(folder / "net.npz", **arrays)
    return folder / "net.npz"


def own(arrays):
    first, bias, second, shift = arrays.values()
    return {
        "hidden": first,
        "output": second[0] if len(second) == 1 else second.T,
        "hidden_bias": bias,
        "output_bias": shift[0] if len(second) == 1 else shift,
    }


def refused(source, activation=ReLU(), **options):  # noqa: B008
    with pytest.raises(InputError) as caught:
        read(source, activation, **options)
    assert len(str(caught.value)) < 700
    return caught.value


# --- .npz -----------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 3])
def test_arrays_under_our_names_are_a_network(classes, tmp_path):
    arrays = drawn(classes)
    path = written(tmp_path, **own(arrays))
    assert_same(read(path, ReLU()), arrays.values())
    assert_same(read(path, Power(2.5)), arrays.values(), exponent=2.5)
    bare = {name: own(arrays)[name] for name in ("hidden", "output")}
    network = read(written(tmp_path, **bare), ReLU())
    assert network.hidden_bias is None
    assert network.output_bias is None
    zero = {n: np.zeros_like(a) if "bias" in n else a for n, a in arrays.items()}
    assert_same(network, zero.values())


@pytest.mark.parametrize("classes", [1, 3])
def test_arrays_under_the_names_of_pytorch_or_flax_are_a_network(classes, tmp_path):
    arrays = drawn(classes)
    assert_same(read(written(tmp_path, **arrays), ReLU()), arrays.values())
    turned = {n.replace("weight", "kernel"): a.T for n, a in arrays.items()}
    assert_same(read(written(tmp_path, **turned), ReLU()), arrays.values())
    deep = {"params/" + name.replace(".", "/"): a for name, a in turned.items()}
    assert_same(read(written(tmp_path, **deep), ReLU()), arrays.values())


@pytest.mark.parametrize(
    "activation", [ReLU(), LeakyReLU(0.2), PReLU(1.5), Power(3)], ids=str
)
@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_saved_comes_back_bit_by_bit(
    activation, classes, frozen, dtype, key, tmp_path
):
    spec = TwoLayer(
        5,
        activation,
        balanced(0.7),
        "frozen" if frozen else "trained",
        classes,
        hidden_bias=frozen,
        output_bias=not frozen,
        normalise_inputs=classes is None,
    )
    network = spec.build(key, 3, padded=8 if frozen else 5, dtype=dtype)
    path = save(network, tmp_path / "new" / "net.npz")
    assert path == tmp_path / "new" / "net.npz"
    again = read(path)
    assert again.activation == activation
    assert again.normalise_inputs is network.normalise_inputs
    assert isinstance(again.output, nnx.Param) is not frozen
    before, after = (jax.tree.leaves(n.weights()) for n in (network, again))
    assert len(before) == len(after) == 4
    for one, other in zip(before, after, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert list(path.parent.iterdir()) == [path]


def test_short_types_are_saved_as_the_float32_that_holds_them(key, tmp_path):
    network = TwoLayer(5, ReLU(), balanced(1.0)).build(key, 3)
    weights = jax.tree.map(
        lambda a: a if a.dtype == bool else a.astype(jnp.bfloat16), network.weights()
    )
    path = save(TwoLayerNetwork(weights, ReLU()), tmp_path / "net.npz")
    again = read(path).hidden[...]
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, np.asarray(weights.hidden, np.float32))


def test_a_file_that_cannot_be_written_leaves_the_older_one(key, tmp_path, monkeypatch):
    network = TwoLayer(5, ReLU(), balanced(1.0)).build(key, 3)
    path = save(network, tmp_path / "net.npz")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        save(TwoLayer(7, ReLU(), balanced(1.0)).build(key, 3), path)
    assert [file.name for file in tmp_path.iterdir()] == ["net.npz"]
    assert path.read_bytes() == before
    for place, told in ((tmp_path, "it is a folder"), (path / "x.npz", "no file can")):
        with pytest.raises(InputError, match=told):
            save(network, place)


def test_only_what_can_be_read_again_is_saved(key, tmp_path):
    class Mine(ReLU):
        pass

    network = TwoLayer(5, Mine(), balanced(1.0)).build(key, 3)
    with pytest.raises(InputError, match="ReLU, LeakyReLU, PReLU, Power"):
        save(network, tmp_path / "net.npz")
    broken = TwoLayer(5, ReLU(), balanced(1.0)).build(key, 3)
    broken.hidden[...] = broken.hidden[...].at[0, 0].set(jnp.nan)
    with pytest.raises(InputError, match="hidden with 1 weights that are NaN"):
        save(broken, tmp_path / "net.npz")
    assert list(tmp_path.iterdir()) == []


# --- the activation -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "given", "found"),
    [
        ({}, ReLU(), ReLU()),
        ({"exponent": 1}, None, ReLU()),
        ({"exponent": 1}, LeakyReLU(0.1), LeakyReLU(0.1)),
        ({"exponent": 3.0}, PReLU(3), PReLU(3)),
        ({"exponent": 3.0}, Power(3), Power(3)),
        ({"activation": "PReLU", "exponent": 1.5}, None, PReLU(1.5)),
        ({"activation": "prelu", "exponent": 2}, PReLU(2.0), PReLU(2)),
        ({"activation": "relu"}, None, ReLU()),
        ({"activation": "ReLU", "exponent": 1.0}, None, ReLU()),
        ({"activation": "LeakyReLU", "leak": 0.1}, None, LeakyReLU(0.1)),
    ],
)
def test_the_activation_is_in_the_file_or_given(stored, given, found, tmp_path):
    network = read(written(tmp_path, **own(drawn()), **stored), given)
    assert network.activation == found


@pytest.mark.parametrize(
    ("stored", "given", "told"),
    [
        ({}, None, "without an activation"),
        ({}, "relu", "not an Activation"),
        ({"exponent": 3}, None, "several have the same one"),
        ({"exponent": 3}, PReLU(2), "has to be the activation's"),
        ({"exponent": "3"}, PReLU(3), "has to be the activation's"),
        ({"activation": "PReLU", "exponent": 3}, Power(3), "stored with PReLU"),
        ({"activation": "tanh"}, None, "activation='tanh'"),
        ({"activation": "PReLU"}, None, "do not make one function"),
        ({"activation": "PReLU", "exponent": "3"}, None, "do not make one function"),
        ({"activation": "ReLU", "exponent": 2}, None, "do not make one function"),
        ({"activation": "PReLU", "exponent": 0.5}, None, "below 1"),
        ({"activation": "PReLU", "exponent": np.nan}, None, "below 1"),
        ({"activation": ["ReLU", "ReLU"]}, None, "one value"),
    ],
)
def test_an_activation_that_is_open_is_not_guessed(stored, given, told, tmp_path):
    path = written(tmp_path, **own(drawn()), **stored)
    assert told in str(refused(path, given))


# --- which arrays are the two layers --------------------------------------------------


def test_layers_are_put_in_the_order_in_which_they_fit(tmp_path):
    arrays = drawn(3)
    back = dict(reversed(arrays.items()))
    assert list(back)[0] == "second.bias"
    assert_same(read(written(tmp_path, **back), ReLU()), arrays.values())


@pytest.mark.parametrize(("dim", "neurons"), [(6, 6), (3, 8)])
def test_where_both_orders_fit_words_are_a_question(dim, neurons, tmp_path):
    arrays = drawn(dim, dim, neurons)
    path = written(tmp_path, **arrays)
    error = refused(path)
    assert "either layer can be the first" in str(error)
    assert "--hidden first.weight --output second.weight" in error.fix
    chosen = {"hidden": "first.weight", "output": "second.weight"}
    assert_same(read(path, ReLU(), **chosen), arrays.values())
    chosen = {"hidden": "second.weight", "output": "first.weight"}
    names = ["second.weight", "second.bias", "first.weight", "first.bias"]
    assert_same(read(path, ReLU(), **chosen), [arrays[name] for name in names])


@pytest.mark.parametrize("last", ["2", "10"])
def test_where_both_orders_fit_numbers_tell_unless_the_file_differs(last, tmp_path):
    arrays = drawn(6, 6, 6)
    names = [f"0.{leaf}" for leaf in ("weight", "bias")]
    names += [f"{last}.{leaf}" for leaf in ("weight", "bias")]
    counted = dict(zip(names, arrays.values(), strict=True))
    assert_same(read(written(tmp_path, **counted), ReLU()), arrays.values())
    back = {name: counted[name] for name in reversed(names)}
    assert "do not tell" in str(refused(written(tmp_path, **back)))


@pytest.mark.parametrize("leaf", ["weight", "kernel"])
def test_layers_against_their_numbers_may_be_stored_the_other_way(leaf, tmp_path):
    arrays = drawn(3, 4, 6)
    first, second = arrays["first.weight"], arrays["second.weight"]
    zeros = np.zeros(6), np.zeros(3)
    turn = (lambda a: a.T) if leaf == "weight" else (lambda a: a)
    stored = {f"0.{leaf}": turn(first), f"2.{leaf}": turn(second)}
    path = written(tmp_path, **stored)
    error = refused(path)
    assert f"2.{leaf} can only come first, against the numbers" in str(error)
    names = {"hidden": f"0.{leaf}", "output": f"2.{leaf}"}
    assert error.fix.endswith(f"transpose={leaf == 'weight'}")
    network = read(path, ReLU(), **names, transpose=leaf == "weight")
    assert_same(network, (first, zeros[0], second, zeros[1]))
    names = {"hidden": f"2.{leaf}", "output": f"0.{leaf}"}
    assert f"--hidden 2.{leaf} --output 0.{leaf}" in error.fix
    back = (second.T, zeros[0], first.T, np.zeros(4))
    assert_same(read(path, ReLU(), **names), back)


def changed(**changes):
    arrays = {**drawn(), **{n.replace("_", ".", 1): a for n, a in changes.items()}}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        (
            changed(third_weight=np.ones((1, 1))),
            "3 weight matrices, first.weight (6, 4), second.weight (1, 6), "
            "third.weight (1, 1): jaxbias reads two-layer networks",
        ),
        ({f"{i}.weight": np.ones((9, 9)) for i in range(10)}, "and 4 more"),
        (changed(first_weight=np.ones((6, 1, 3, 3))), "first.weight (6, 1, 3, 3)"),
        (changed(norm_running_mean=np.ones(6)), "norm.running_mean (6,)"),
        (changed(norm_weight=np.ones(6)), "norm.weight (6,)"),
        (changed(temperature=np.ones(())), "temperature ()"),
        (changed(second_weight=np.ones((1, 5))), "no layer reads as many numbers"),
        (changed(first_bias=np.ones(5)), "hidden_bias of shape (5,)"),
        (changed(second_bias=np.ones(2)), "output_bias of shape (2,)"),
        (changed(first_weight=np.full((6, 4), np.nan)), "hidden with 24 weights that"),
        (changed(second_bias=np.array([np.inf])), "output_bias with 1 weights that"),
        (changed(first_weight=np.ones((6, 4), complex)), "hidden of type complex128"),
        (changed(first_weight=np.full((6, 4), "a")), "hidden of type str32"),
        (changed(first_weight=np.ones((6, 4), bool)), "hidden of type bool"),
        (changed(first_weight=np.ones((6, 0))), "hidden of shape (6, 0)"),
        ({"a": np.ones(3), "b": np.ones(2)}, "a (3,), b (2,)"),
        ({"hidden": np.ones((6, 4)), "output": np.ones(5)}, "output of shape (5,)"),
        ({"hidden": np.ones(6), "output": np.ones(6)}, "(neurons, features)"),
        ({"hidden": np.ones((6, 4)), "output": np.ones((6, 1, 1))}, "(6, 1, 1)"),
        ({**own(drawn()), "mask": np.ones(6)}, "a mask of type float64"),
        ({**own(drawn()), "mask": np.arange(6) < 5}, "neurons that are not 0"),
        ({**own(drawn()), "extra": np.ones(6)}, "extra (6,)"),
    ],
)
def test_what_is_not_two_layers_is_told_by_name_and_shape(arrays, told, tmp_path):
    assert told in str(refused(written(tmp_path, **arrays)))


@pytest.mark.parametrize("name", ["first.weight", "weight", "hidden"])
def test_a_first_layer_alone_asks_for_its_readout(name, tmp_path):
    arrays = drawn(3)
    first, bias = arrays["first.weight"], arrays["first.bias"]
    prefix = name.removesuffix("weight")
    biases = "hidden_bias" if name == "hidden" else f"{prefix}bias"
    path = written(tmp_path, **{name: first, biases: bias})
    error = refused(path)
    assert "one weight matrix" in str(error) or "of 6 neurons" in str(error)
    assert "output='halves'" in error.fix
    network = read(path, ReLU(), output="halves")
    votes = np.array([[1, 1, 1, -1, -1, -1]]) / 3
    assert_same(network, (first, bias, votes, np.zeros(1)))
    assert not isinstance(network.output, nnx.Param)
    several = arrays["second.weight"].T
    layers = (first, bias, several.T, np.zeros(3))
    assert_same(read(path, ReLU(), output=several), layers)
    assert_same(read(path, ReLU(), output=jnp.asarray(several)), layers)
    layers = (first, bias, np.arange(6)[None], np.zeros(1))
    assert_same(read(path, ReLU(), output=[0, 1, 2, 3, 4, 5]), layers)
    for wrong, told in (
        ("halfs", "output='halves'"),
        (np.ones(5), "output of shape (5,)"),
        (np.ones((3, 6)), "output of shape (3, 6)"),
        (np.full(6, np.nan), "output with 6 weights"),
        (["a"] * 6, "output of type str32"),
        ([[1], [1, 2]], "output of type list"),
        (np.ma.masked_equal(np.arange(6), 2), "output with 1 masked entries"),
    ):
        assert told in str(refused(path, output=wrong))


def test_halves_are_of_an_even_number_and_exact_in_the_type_of_the_network(tmp_path):
    odd = written(tmp_path, hidden=np.ones((3, 2)))
    assert "3 neurons" in str(refused(odd, output="halves"))
    for dtype in (np.float32, np.float64):
        path = written(tmp_path, hidden=np.ones((6, 2), dtype))
        output = read(path, ReLU(), output="halves").output[...]
        assert output.dtype == dtype
        assert output[0] == dtype(1) / dtype(3)


def test_a_readout_is_not_replaced_in_silence(tmp_path):
    for arrays in (drawn(), own(drawn())):
        error = refused(written(tmp_path, **arrays), output="halves")
        assert "a readout of its own" in str(error)


def test_types_are_widened_and_never_narrowed(tmp_path):
    arrays = {name: array.astype(np.float16) for name, array in drawn().items()}
    network = read(written(tmp_path, **arrays), ReLU())
    assert network.hidden.dtype == np.float32
    assert_same(network, arrays.values(), tolerance=1e-5)
    arrays["second.bias"] = np.array([7], np.int64)
    network = read(written(tmp_path, **arrays), ReLU())
    assert network.hidden.dtype == np.float64
    assert_same(network, arrays.values())
    with jax.enable_x64(False):
        assert "64-bit numbers are switched off" in str(refused(tmp_path / "net.npz"))
        arrays["second.bias"] = np.array([7], np.float16)
        network = read(written(tmp_path, **arrays), ReLU())
        assert network.hidden.dtype == np.float32


# --- other files ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"\x93NUMPY\x01\x00", "an .npy is one array"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"\x08\x08\x12\x07pytorch", "it is ONNX"),
        (b"hidden,output\n", "no known format"),
        (b"PK\x03\x04 and no more", "cut short or damaged"),
        (b"\x82\xa5first", "no complete msgpack file"),
        (b"\x81\x01\x02", "no known format"),
        (b"\x81\xa1a\x02", "with a ()"),
        (b"\x81\xa1a\xc7\x03\x01\x93\x91\x01", "no complete msgpack file"),
    ],
)
def test_other_files_are_refused_by_their_content(content, told, tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    error = refused(path)
    assert told in str(error)
    assert "net.pt" in error.got


def test_a_file_that_is_not_there_and_a_folder_that_is_no_checkpoint(tmp_path):
    assert "No such file" in str(refused(tmp_path / "net.pt"))
    assert "no orbax checkpoint" in str(refused(tmp_path))
    assert "a network of type dict" in str(refused(drawn()))


def test_the_content_decides_and_not_the_suffix(tmp_path):
    arrays = drawn()
    path = written(tmp_path, **arrays).rename(tmp_path / "net.pt")
    assert_same(read(path, ReLU()), arrays.values())


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "ran",)

    np.savez(tmp_path / "net.npz", hidden=np.array([Trap()], object))
    (tmp_path / "ran").unlink(missing_ok=True)
    assert "its arrays cannot be read" in str(refused(tmp_path / "net.npz"))
    assert not (tmp_path / "ran").exists()


def test_a_broken_npz_is_one_clear_error(tmp_path):
    path = written(tmp_path, **drawn())
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"NUMPY") + 200] ^= 1
    path.write_bytes(whole)
    assert "its arrays cannot be read" in str(refused(path))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("hidden.npy", b"\x93NUMPY\x01\x00v\x00{'descr'")
    assert "its arrays cannot be read" in str(refused(path))


# --- flax -----------------------------------------------------------------------------


class Net(nnx.Module):
    """Layers whose names say nothing about their order."""

    def __init__(self, dims, names=("zebra", "apple"), bias=True, squash=None):
        for seed, (name, dim, out) in enumerate(
            zip(names, dims, dims[1:], strict=False)
        ):
            rngs = nnx.Rngs(seed)
            layer = nnx.Linear(
                dim, out, use_bias=bias, rngs=rngs, param_dtype=jnp.float64
            )
            if bias:
                layer.bias[...] = jax.random.normal(jax.random.key(seed), (out,))
            setattr(self, name, layer)
        self.names, self.squash = names, squash or jax.nn.relu

    def __call__(self, inputs):
        first, *others = (getattr(self, name) for name in self.names)
        outputs = first(inputs)
        for layer in others:
            outputs = layer(self.squash(outputs))
        return outputs


def arrays_of(net):
    layers = [getattr(net, name) for name in net.names]
    found = []
    for layer in layers:
        kernel = np.asarray(layer.kernel[...]).T
        bias = np.zeros(len(kernel)) if layer.bias is None else layer.bias[...]
        found += [kernel, np.asarray(bias)]
    return found


def pure(module):
    return nnx.to_pure_dict(nnx.state(module))


def as_msgpack(tree, folder):
    (folder / "net.msgpack").write_bytes(serialization.to_bytes(tree))
    return folder / "net.msgpack"


def as_orbax(tree, folder, kind="Standard"):
    orbax = pytest.importorskip("orbax.checkpoint")
    with getattr(orbax, f"{kind}Checkpointer")() as checkpointer:
        checkpointer.save(folder / "net", tree)
    return folder / "net"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dims", [(4, 7, 1), (4, 7, 3)])
def test_flax_files_hold_kernels_the_other_way_round(dims, bias, tmp_path):
    net = Net(dims, bias=bias)
    arrays = arrays_of(net)
    assert_same(read(as_msgpack(pure(net), tmp_path), ReLU()), arrays)
    linen = {"params": pure(net)}
    assert_same(read(as_msgpack(linen, tmp_path), ReLU()), arrays)
    assert_same(read(net, ReLU()), arrays)


@pytest.mark.parametrize("kind", ["Standard", "PyTree"])
def test_orbax_folders_are_read_as_flax_writes_them(kind, tmp_path, key):
    net = Net((4, 7, 3))
    assert_same(read(as_orbax(pure(net), tmp_path, kind), ReLU()), arrays_of(net))
    other = tmp_path / "state"
    other.mkdir()
    assert_same(read(as_orbax(nnx.state(net), other, kind), ReLU()), arrays_of(net))
    network = TwoLayer(5, PReLU(2), balanced(1.0), hidden_bias=True)
    network = network.build(key, 3, padded=8)
    third = tmp_path / "own"
    third.mkdir()
    again = read(as_orbax(nnx.state(network), third, kind), PReLU(2))
    for one, two in zip(
        jax.tree.leaves(network.weights()),
        jax.tree.leaves(again.weights()),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


def test_a_broken_orbax_folder_is_one_clear_error(tmp_path, monkeypatch):
    folder = as_orbax(pure(Net((4, 7, 3))), tmp_path)
    error = refused(tmp_path)
    assert error.fix == f"read({str(folder)!r})"
    (folder / "manifest.ocdbt").unlink()
    assert "no complete orbax checkpoint" in str(refused(folder))
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    assert "pip install orbax-checkpoint" in str(refused(folder))


def test_our_own_state_is_read_from_msgpack_and_memory(key, tmp_path):
    spec = TwoLayer(5, PReLU(3), balanced(1.0), "frozen", 4, output_bias=True)
    network = spec.build(key, 3)
    path = as_msgpack(pure(network), tmp_path)
    for again in (read(path, PReLU(3)), read(network), read(network, PReLU(3))):
        for one, two in zip(
            jax.tree.leaves(network.weights()),
            jax.tree.leaves(again.weights()),
            strict=True,
        ):
            np.testing.assert_array_equal(one, two)
    assert not isinstance(read(network).output, nnx.Param)
    assert "stored with PReLU" in str(refused(network))


def test_where_both_orders_fit_sorted_names_are_not_trusted(tmp_path):
    net = Net((4, 7, 4))
    for path in (as_msgpack(pure(net), tmp_path), as_orbax(pure(net), tmp_path)):
        assert "either layer can be the first" in str(refused(path))
    # The module itself tells, by what it computes.
    assert_same(read(net, ReLU()), arrays_of(net))
    back = Net((4, 7, 4), ("apple", "zebra"))
    assert_same(read(back, ReLU()), arrays_of(back))


@pytest.mark.parametrize("names", [("layer_2", "layer_10"), ("Dense_0", "Dense_1")])
def test_where_both_orders_fit_numbers_in_sorted_names_tell(names, tmp_path):
    net = Net((4, 7, 4), names)
    assert_same(read(as_msgpack(pure(net), tmp_path), ReLU()), arrays_of(net))
    again = read(as_orbax(pure(net), tmp_path), ReLU())
    assert_same(again, arrays_of(net))


@pytest.mark.parametrize("outputs", [1, 4])
def test_a_sequential_is_read_and_held_against_its_own_outputs(outputs, tmp_path):
    layers = Net((4, 7, outputs))
    first, second = layers.zebra, layers.apple
    sequence = nnx.Sequential(first, nnx.relu, second)
    assert_same(read(sequence, ReLU()), arrays_of(layers))
    assert_same(read(as_msgpack(pure(sequence), tmp_path), ReLU()), arrays_of(layers))
    leaky = nnx.Sequential(first, lambda c: jnp.where(c > 0, c, 0.01 * c), second)
    assert read(leaky, LeakyReLU(0.01)).activation == LeakyReLU(0.01)
    for module in (
        leaky,
        nnx.Sequential(first, second),
        nnx.Sequential(first, nnx.tanh, second),
        nnx.Sequential(first, nnx.relu, second, nnx.sigmoid),
        nnx.Sequential(first, nnx.relu, second, lambda c: (c > 0).astype(int)),
        nnx.Sequential(first, nnx.relu, second, lambda c: c[:1]),
        Net((4, 7, outputs), squash=lambda c: jax.nn.relu(c) ** 2),
    ):
        assert "another function" in str(refused(module))
    assert_same(
        read(Net((4, 7, outputs), squash=lambda c: jax.nn.relu(c) ** 2), Power(2)),
        arrays_of(Net((4, 7, outputs))),
        exponent=2,
    )


def test_a_single_precision_module_passes_its_own_check():
    first = nnx.Linear(300, 500, rngs=nnx.Rngs(0))
    second = nnx.Linear(500, 10, rngs=nnx.Rngs(1))
    network = read(nnx.Sequential(first, nnx.relu, second), ReLU())
    assert network.hidden.dtype == np.float32


def test_modules_that_are_more_or_less_than_two_layers_are_refused():
    assert "3 weight matrices" in str(refused(Net((4, 5, 6, 1), ("a", "b", "c"))))
    norm = nnx.BatchNorm(5, rngs=nnx.Rngs(0))
    net = Net((4, 5, 1))
    sequence = nnx.Sequential(net.zebra, norm, nnx.relu, net.apple)
    error = refused(sequence)
    assert "layers.1.mean (5,)" in str(error)
    # No call that would leave a normalisation out.
    assert error.fix.startswith("a network without them, or numpy.savez")
    layer = Net((4, 6), ("only",)).only
    assert "one weight matrix" in str(refused(layer))
    network = read(layer, ReLU(), output="halves")
    kernel, bias = np.asarray(layer.kernel[...]).T, np.asarray(layer.bias[...])
    votes = np.array([[1, 1, 1, -1, -1, -1]]) / 3
    assert_same(network, (kernel, bias, votes, np.zeros(1)))
    assert "without any array" in str(refused(nnx.Sequential(nnx.relu)))
    assert "an activation" in str(refused(Net((4, 5, 1)), None))


def test_random_states_are_no_part_of_the_function():
    net = Net((4, 7, 1))
    drop = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    sequence = nnx.Sequential(net.zebra, nnx.relu, drop, net.apple)
    assert "its outputs differ" in str(refused(sequence))
    sequence.eval()
    assert_same(read(sequence, ReLU()), arrays_of(net))


def test_an_attribute_called_activation_is_no_activation_of_ours():
    net = Net((4, 7, 1))
    net.activation, net.normalise_inputs = jax.nn.relu, True
    network = read(net, ReLU())
    assert network.activation == ReLU()
    assert not network.normalise_inputs
    assert_same(network, arrays_of(net))


def test_a_plain_pair_of_layers_needs_no_forward_pass():
    class Pair(nnx.Module):
        def __init__(self, net):
            self.out, self.into = net.apple, net.zebra

    net = Net((4, 7, 1))
    assert_same(read(Pair(net), ReLU()), arrays_of(net))
    assert "either layer can be the first" in str(refused(Pair(Net((4, 7, 4)))))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"normalise_inputs": "no"}, "normalise_inputs='no': it is true or false"),
        ({"normalise_inputs": 2.5}, "normalise_inputs=2.5: it is true or false"),
        ({"frozen": "false"}, "frozen='false': it is true or false"),
        ({"leak": 0.1}, "belongs to LeakyReLU"),
        ({"leak": 0.1, "exponent": 1}, "belongs to LeakyReLU"),
        ({"leak": 0.1, "activation": "ReLU"}, "leak 0.1: they do not make"),
        (
            {"leak": 0.1, "activation": "PReLU", "exponent": 3},
            "leak 0.1: they do not make",
        ),
        (
            {"leak": 0.1, "activation": "LeakyReLU", "exponent": 3},
            "exponent 3: they do not make",
        ),
    ],
)
def test_settings_that_say_nothing_clear_are_refused(settings, told, tmp_path):
    ones = np.ones((3, 2), np.float32)
    np.savez(tmp_path / "net.npz", hidden=ones, output=ones[:, 0], **settings)
    given = None if "activation" in settings else ReLU()
    with pytest.raises(InputError) as caught:
        read(tmp_path / "net.npz", given)
    assert told in str(caught.value)


def test_truth_may_be_a_number(tmp_path):
    ones = np.ones((3, 2), np.float32)
    arrays = {"hidden": ones, "output": ones[:, 0], "leak": 0.1}
    for value in (1, 0.0, True):
        np.savez(tmp_path / "net.npz", **arrays, normalise_inputs=value)
        network = read(tmp_path / "net.npz", LeakyReLU(0.1))
        assert network.normalise_inputs is bool(value)
