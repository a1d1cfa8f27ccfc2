"""PyTorch checkpoints without PyTorch: the files are written here, byte by byte."""

import io
import os
import pickle
import pickletools
import struct
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.networks import ReLU, read
from jaxbias.networks._torch_file import read_torch

CODES = {
    "f8": "DoubleStorage",
    "f4": "FloatStorage",
    "f2": "HalfStorage",
    "bf16": "BFloat16Storage",
    "i8": "LongStorage",
    "u1": "ByteStorage",
}


# --- a writer of what torch.save writes -----------------------------------------------


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def several(*items):
    return b"(" + b"".join(items) + b"t"


def named(module, name):
    return f"c{module}\n{name}\n".encode()


ORDERED = named("collections", "OrderedDict") + b")R"


def tensor(key, code, count, size, stride, offset=0):
    storage = several(
        word("storage"), named("torch", CODES[code]), word(key), word("cpu"), count
    )
    lengths = [several(*map(number, numbers)) for numbers in (size, stride)]
    view = (storage + b"Q", number(offset), *lengths, b"\x89", ORDERED)
    return named("torch._utils", "_rebuild_tensor_v2") + several(*view) + b"R"


def parameter(view):
    arguments = several(view, b"\x88", ORDERED)
    return named("torch._utils", "_rebuild_parameter") + arguments + b"R"


def mapping(items, start=ORDERED):
    return start + b"(" + b"".join(word(n) + item for n, item in items.items()) + b"u"


def with_metadata(state):
    return state + mapping({"_metadata": ORDERED}, b"}") + b"b"


def archive(path, body, storages, more=(), root="archive", compression=0):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr(f"{root}/data.pkl", b"\x80\x02" + body + b".")
        for name, content in {"version": b"3\n", **dict(more)}.items():
            file.writestr(f"{root}/{name}", content)
        for key, content in storages.items():
            file.writestr(f"{root}/data/{key}", content)
    return path


def plain(arrays, code="f8", first=0):
    """Contiguous tensors with a storage each: the items and the storages."""
    items, storages = {}, {}
    for key, (name, array) in enumerate(arrays.items(), first):
        array = np.asarray(array, np.dtype(f"<{code}"))
        stride = [s // array.itemsize for s in array.strides]
        count = number(array.size)
        items[name] = tensor(str(key), code, count, array.shape, stride)
        storages[str(key)] = array.tobytes()
    return items, storages


def drawn(classes=1, dim=4, neurons=6):
    rng = np.random.default_rng(classes)
    return {
        "0.weight": rng.standard_normal((neurons, dim)),
        "0.bias": rng.standard_normal(neurons),
        "2.weight": rng.standard_normal((classes, neurons)),
        "2.bias": rng.standard_normal(classes),
    }


def forward(first, bias, second, shift, inputs):
    return np.maximum(inputs @ first.T + bias, 0) @ second.T + shift


def assert_same(network, arrays, rtol=1e-12):
    parts = [np.asarray(array, np.float64) for array in arrays]
    inputs = np.random.default_rng(9).standard_normal((20, parts[0].shape[1]))
    outputs = np.asarray(network(jnp.asarray(inputs, network.hidden.dtype)))
    expected = forward(*parts, inputs)
    if len(parts[2]) == 1:
        assert outputs.shape == (20,)
        expected = expected[:, 0]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(outputs, expected, rtol=rtol, atol=rtol * scale)


# --- what is read ---------------------------------------------------------------------


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("root", ["archive", "my net.v2"])
def test_a_state_dict_is_the_network_it_was(classes, root, tmp_path):
    arrays = drawn(classes)
    items, storages = plain(arrays)
    body = with_metadata(mapping(items))
    path = archive(tmp_path / "net", body, storages, root=root)
    assert_same(read(path, ReLU()), arrays.values())
    assert read(str(path), ReLU()).hidden.dtype == np.float64


@pytest.mark.parametrize("key", "state_dict model my_net".split())
def test_a_state_dict_inside_a_dictionary_is_found(key, tmp_path):
    arrays = drawn()
    items, storages = plain(arrays)
    items = {f"module.{name}": parameter(item) for name, item in items.items()}
    size = named("torch", "Size") + several(several(number(3))) + b"R"
    device = named("torch", "device") + several(word("cpu")) + b"R"
    outer = {"epoch": number(7), "best": number(1), "kind": named("torch", "float32")}
    outer |= {key: with_metadata(mapping(items)), "size": size, "device": device}
    path = archive(tmp_path / "net.pt", mapping(outer, b"}"), storages)
    found, parts = read_torch(path, "it")
    assert list(found) == [f"{key}.{name}" for name in arrays]
    assert parts == (key,)
    assert_same(read(path, ReLU()), arrays.values())
    assert_same(read(path, ReLU(), part=key), arrays.values())


def test_views_are_followed_through_strides_offsets_and_shared_storages(tmp_path):
    rng = np.random.default_rng(0)
    flat = rng.standard_normal(100)
    items = {
        # Stored transposed.
        "a.weight": tensor("0", "f8", number(100), (6, 4), (1, 6), 5),
        # Every second number.
        "a.bias": tensor("0", "f8", number(100), (6,), (2,), 40),
        "b.weight": tensor("0", "f8", number(100), (2, 6), (9, 1), 80),
        # One number for all outputs.
        "b.bias": tensor("0", "f8", number(100), (2,), (0,), 99),
    }
    path = archive(tmp_path / "net.pt", mapping(items), {"0": flat.tobytes()})
    arrays = (
        flat[5:29].reshape(4, 6).T,
        flat[40:52:2],
        np.stack([flat[80:86], flat[89:95]]),
        flat[[99, 99]],
    )
    assert_same(read(path, ReLU()), arrays)


@pytest.mark.parametrize("code", ["f8", "f4", "f2", "i8", "u1"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_type_and_byte_order_keeps_its_numbers(code, order, tmp_path):
    arrays = {n: np.round(9 * np.abs(a)) for n, a in drawn(2).items()}
    items, storages = plain(arrays, code)
    if order == "big":
        storages = {
            key: np.frombuffer(raw, f"<{code}").astype(f">{code}").tobytes()
            for key, raw in storages.items()
        }
    more = {"byteorder": order.encode()}
    path = archive(tmp_path / "net.pt", mapping(items), storages, more)
    network = read(path, ReLU())
    np.testing.assert_array_equal(network.hidden[...], arrays["0.weight"])
    np.testing.assert_array_equal(network.output[...], arrays["2.weight"].T)
    wide = code in ("f8", "i8", "u1")
    assert network.hidden.dtype == (np.float64 if wide else np.float32)


@pytest.mark.parametrize("order", ["little", "big"])
def test_bfloat16_is_the_upper_half_of_float32(order, tmp_path):
    values = np.array([1.0, -2.5, 0.15625, 3e38, 2**-130, 0.0], np.float32)
    halves = (values.view(np.uint32) >> 16).astype(
        "<u2" if order == "little" else ">u2"
    )
    items = {"w": tensor("0", "bf16", number(6), (3, 2), (2, 1))}
    more = {"byteorder": order.encode()}
    path = archive(tmp_path / "x.pt", mapping(items), {"0": halves.tobytes()}, more)
    found = read_torch(path, "it")[0]["w"].ravel()
    assert found.dtype == np.float32
    exact = (values.view(np.uint32) >> 16 << 16).view(np.float32)
    np.testing.assert_array_equal(found, exact)
    np.testing.assert_allclose(found, values, rtol=2**-7)


def test_empty_tensors_and_scalars_are_arrays_too(tmp_path):
    items = {
        "none": tensor("0", "f8", number(0), (0, 3), (10**15, 1)),
        "one": tensor("1", "i8", number(1), (), ()),
    }
    storages = {"0": b"", "1": np.array(5).tobytes()}
    path = archive(tmp_path / "x.pt", mapping(items), storages)
    found, _ = read_torch(path, "it")
    assert found["none"].shape == (0, 3)
    assert found["one"] == 5
    with pytest.raises(InputError, match=r"none \(0, 3\)"):
        read(path, ReLU())


def test_a_memo_index_of_the_file_allocates_nothing(tmp_path):
    # The unpickler in C reserves 32 GB for this.
    arrays = drawn()
    items, storages = plain(arrays)
    body = mapping(items) + b"r" + struct.pack("<I", 2**31)
    path = archive(tmp_path / "net.pt", body, storages)
    assert_same(read(path, ReLU()), arrays.values())


@pytest.mark.parametrize("place", ["item", "items", "dict", "set", "reference"])
def test_endless_nesting_is_refused_and_not_followed(place, tmp_path):
    # Hashing it would end the process.
    deep = b")" + b"\x85" * 300_000
    body = {
        "item": b"}" + deep + b"Ns",
        "items": b"}(" + word("x") + b"N" + deep + b"Nu",
        "dict": b"(" + deep + b"Nd",
        "set": b"(" + deep + b"\x91",
        "reference": several(deep, *[b"N"] * 4) + b"Q",
    }[place]
    path = archive(tmp_path / "net.pt", body, {})
    with pytest.raises(InputError, match="no complete PyTorch checkpoint"):
        read(path, ReLU())


# --- nothing runs ---------------------------------------------------------------------


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", ["system", "eval", "mkdir", "getattr", "import"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(
    name, protocol, tmp_path
):
    marker = tmp_path / "ran"
    call = {
        "system": Calls(os.system, f"mkdir {marker}"),
        "eval": Calls(eval, f"__import__('os').mkdir({str(marker)!r})"),
        "mkdir": Calls(os.mkdir, str(marker)),
        "getattr": Calls(getattr, io, "open"),
        "import": Calls(__import__, "os"),
    }[name]
    if name != "getattr":
        content = pickle.dumps(call, protocol)
        # The standard library runs it.
        pickle.loads(content)
        if name != "import":
            marker.rmdir()
    else:
        content = named("builtins", "getattr") + several(word("x"), word("y")) + b"R."
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as file:
        file.writestr("archive/data.pkl", content)
    refused = r"asks for '[a-z_]+\.(system|eval|mkdir|getattr|__import__)'"
    with pytest.raises(InputError, match=refused) as caught:
        read(tmp_path / "net.pt", ReLU())
    assert "torch.save(model.state_dict(), path)" in caught.value.fix
    assert not marker.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"(cos\nsystem\nX\x02\x00\x00\x00lso",
        b"(X\x02\x00\x00\x00lsios\nsystem\n",
        word("os") + word("system") + b"\x93" + several(word("ls")) + b"R",
        b"\x82\x01",  # an object of the extension registry
        named("torch._utils", "_rebuild_tensor") + b")R",
        named("torch", "load") + several(word("x")) + b"R",
        named("numpy", "load") + several(word("x")) + b"R",
        named("argparse", "Namespace") + b")\x81",
        named("collections", "OrderedDict.fromkeys") + several(word("x")) + b"R",
        named("jaxbias.networks", "read") + several(word("x")) + b"R",
    ],
)
def test_every_way_to_name_a_function_is_closed(body, tmp_path):
    path = archive(tmp_path / "net.pt", mapping({"x": body}, b"}"), {})
    with pytest.raises(InputError, match=r"asks for|no complete PyTorch"):
        read(path, ReLU())


@pytest.mark.parametrize(
    "name", ["torch._utils _rebuild_tensor_v2", "collections OrderedDict"]
)
@pytest.mark.parametrize(
    "state", [b"}X\x05\x00\x00\x00_makeNs", b"N}X\x05\x00\x00\x00_makeNs\x86"]
)
def test_what_a_name_stands_for_cannot_be_changed(name, state, tmp_path):
    arrays = drawn()
    items, storages = plain(arrays)
    body = mapping({**items, "x": named(*name.split()) + state + b"b"})
    with pytest.raises(InputError, match="a global with a state of its own"):
        read(archive(tmp_path / "bad.pt", body, storages), ReLU())
    good = archive(tmp_path / "good.pt", mapping(items), storages)
    assert_same(read(good, ReLU()), arrays.values())


@pytest.mark.parametrize(
    "built",
    [
        tensor("0", "f8", number(24), (6, 4), (4, 1)) + b"}X\x04\x00\x00\x00sizeNsb",
        tensor("0", "f8", number(24), (6, 4), (4, 1))
        + b"N}X\x04\x00\x00\x00sizeNs\x86b",
        named("torch", "DoubleStorage") + b")\x81",
        named("torch", "DoubleStorage") + b")R",
        ORDERED[:-2] + several(b"}") + b"R",
    ],
)
def test_tensors_and_types_are_no_objects_to_build_on(built, tmp_path):
    path = archive(tmp_path / "net.pt", mapping({"x": built}), {"0": bytes(192)})
    with pytest.raises(InputError, match="no complete PyTorch checkpoint"):
        read(path, ReLU())


# --- files that lie, or are broken ----------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"count": number(25)}, "25 numbers are said to be in 192 bytes"),
        ({"count": number(23)}, "23 numbers are said to be in 192 bytes"),
        ({"count": number(-24)}, "whole numbers"),
        ({"size": (6, 5)}, "beyond its storage"),
        ({"offset": 1}, "beyond its storage"),
        ({"offset": -1}, "whole numbers"),
        ({"stride": (-4, 1)}, "whole numbers"),
        ({"stride": (5, 1)}, "beyond its storage"),
        ({"stride": (4, 2**40)}, "beyond its storage"),
        ({"size": (2**40, 2**40), "stride": (0, 0)}, "more than the file holds"),
        ({"size": (100, 100), "stride": (0, 0)}, "more than the file holds"),
        ({"size": (0, 2**70)}, "more than the file holds"),
        ({"size": (6,)}, "1 lengths and 2 strides"),
        ({"size": (1,) * 40, "stride": (1,) * 40}, "40 lengths"),
        ({"code": "f4"}, "24 numbers are said to be in 192 bytes"),
        ({"count": word("24")}, "whole numbers"),
        ({"count": b"\x88"}, "whole numbers"),
        ({"key": "1"}, "data/1"),
        ({"key": "../data.pkl"}, "data.pkl"),
    ],
)
def test_claims_are_held_against_the_storage(claims, told, tmp_path):
    honest = {"key": "0", "code": "f8", "count": number(24)}
    honest |= {"size": (6, 4), "stride": (4, 1)}
    raw = np.arange(24.0).tobytes()
    body = mapping({"a.weight": tensor(**honest)})
    [found, _] = read_torch(archive(tmp_path / "a", body, {"0": raw}), "it")
    assert found["a.weight"][5, 3]
    body = mapping({"a.weight": tensor(**{**honest, **claims})})
    with pytest.raises(InputError, match=told):
        read(archive(tmp_path / "b.pt", body, {"0": raw}), ReLU(), output="halves")


def test_a_file_cut_anywhere_is_one_clear_error(tmp_path):
    items, storages = plain(drawn())
    whole = archive(tmp_path / "net.pt", mapping(items), storages).read_bytes()
    cut = tmp_path / "cut.pt"
    for length in [*range(0, len(whole) - 1, 97), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"empty|cut short|no known format"):
            read(cut, ReLU())


def test_a_storage_whose_bytes_have_changed_is_noticed(tmp_path):
    items, storages = plain(drawn())
    whole = archive(tmp_path / "net.pt", mapping(items), storages).read_bytes()
    at = whole.index(storages["0"]) + 3
    (tmp_path / "net.pt").write_bytes(whole[:at] + b"\x99" + whole[at + 1 :])
    with pytest.raises(InputError, match="CRC"):
        read(tmp_path / "net.pt", ReLU())


def test_no_change_of_the_pickle_ends_in_anything_but_an_answer(tmp_path):
    arrays = drawn(dim=2, neurons=2)
    items, storages = plain(arrays)
    body = with_metadata(mapping(items))
    rng = np.random.default_rng(0)
    opcodes = [ord(opcode.code) for opcode in pickletools.opcodes]
    answers = {"read": 0, "refused": 0}
    for trial in range(600):
        wrong = bytearray(body)
        for _ in range(1 + trial % 3):
            place = rng.integers(len(wrong))
            wrong[place] = rng.choice(opcodes) if trial % 2 else rng.integers(256)
        path = archive(tmp_path / "net.pt", bytes(wrong), storages)
        try:
            read(path, ReLU())
            answers["read"] += 1
        except InputError:
            answers["refused"] += 1
    assert answers["refused"] > 300
    assert answers["read"] > 0


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("script", "TorchScript"),
        ("legacy", "before 1.6"),
        ("pickle", "a pickle can run any code"),
        ("compressed", "record data.pkl is compressed"),
        ("two", "2 records data.pkl"),
        ("other", "neither tensors nor arrays"),
        ("order", "order of its bytes is b'middle'"),
        ("list", "with list"),
        ("tensor", "with one tensor"),
        ("both", "'model' and 'net'"),
        ("epoch", r"epoch \(\)"),
        ("config", "'config' beside tensors"),
        ("empty", "with nothing"),
        ("reference", "a reference to something but a storage"),
    ],
)
def test_other_files_are_named_for_what_they_are(case, told, tmp_path):
    items, storages = plain(drawn())
    state, path = mapping(items), tmp_path / "net.pt"
    script = {"constants.pkl": b"", "code/__torch__/net.py": b""}
    bodies = {
        "list": b"]" + state + b"a",
        "tensor": items["0.weight"],
        "both": mapping({"model": state, "net": state}, b"}"),
        "epoch": mapping({**items, "epoch": number(3)}),
        "config": mapping({**items, "config": b"}"}),
        "empty": b"}",
        "reference": several(word("module"), *[b"N"] * 4) + b"Q",
    }
    if case in ("legacy", "pickle"):
        magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
        path.write_bytes(magic * 2 if case == "legacy" else pickle.dumps({}))
    elif case == "other":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("word/document.xml", "")
    elif case == "compressed":
        archive(path, state, storages, compression=zipfile.ZIP_DEFLATED)
    else:
        more = {"script": script, "order": {"byteorder": b"middle"}}.get(case, {})
        archive(path, bodies.get(case, state), storages, more)
    if case == "two":
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("second/data.pkl", b"")
    with pytest.raises(InputError, match=told) as caught:
        read(path, ReLU())
    assert str(path) in caught.value.got
    assert len(str(caught.value).replace(str(path), path.name)) < 500


@pytest.mark.parametrize("second", ["ema", "state_dict", "list"])
def test_two_networks_in_one_file_are_a_question(second, tmp_path):
    first, other = drawn(), {name: 2 * array for name, array in drawn().items()}
    items, storages = plain(first)
    more, rest = plain(other, first=len(first))
    storages |= rest
    optimiser = mapping({"state": mapping(items, b"}"), "param_groups": b"]"}, b"}")
    inner = mapping({"shadow": b"(" + b"".join(more.values()) + b"l"}, b"}")
    outer = {"model": mapping(items), "optimizer": optimiser, "epoch": number(3)}
    part = "ema.shadow" if second == "list" else second
    outer[part.partition(".")[0]] = inner if second == "list" else mapping(more)
    path = archive(tmp_path / "net.pt", mapping(outer, b"}"), storages)
    with pytest.raises(
        InputError, match=f"'model' and '{part}'.*not guessed"
    ) as caught:
        read(path, ReLU())
    assert caught.value.fix == "part='model', in a shell --part model"
    assert_same(read(path, ReLU(), part="model"), first.values())
    names = {"hidden": "0", "hidden_bias": "1", "output": "2", "output_bias": "3"}
    names = names if second == "list" else {}
    assert_same(read(path, ReLU(), part=part, **names), other.values())
    with pytest.raises(InputError, match=f"'model', '{part}'"):
        read(path, ReLU(), part="net")


def test_a_dictionary_in_itself_is_walked_once(tmp_path):
    # A memo entry of the outer list and dictionary, put into both of them.
    body = b"}q\x00" + word("a") + b"]q\x01(h\x01h\x00" + b"h\x01" * 500 + b"es"
    path = archive(tmp_path / "net.pt", body, {})
    with pytest.raises(InputError, match="no tensors by name"):
        read(path, ReLU())


# --- held against PyTorch itself ------------------------------------------------------


def test_files_of_pytorch_give_its_outputs(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    linear = torch.nn.Linear
    path = tmp_path / "net.pt"

    def check(first, second, dtype=torch.float64, tolerance=1e-12, saved=None):
        model = torch.nn.Sequential(first, torch.nn.ReLU(), second).to(dtype)
        state = model.state_dict()
        torch.save(state if saved is None else saved(model, state), path)
        inputs = torch.randn(30, first.in_features, dtype=torch.float64)
        with torch.no_grad():
            theirs = model.double()(inputs).numpy().squeeze()
        network = read(path, ReLU())
        ours = np.asarray(network(jnp.asarray(inputs.numpy(), network.hidden.dtype)))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
        return network

    check(linear(5, 8), linear(8, 1))
    check(linear(5, 8), linear(8, 3, bias=False))
    check(linear(5, 8), linear(8, 1), torch.float32, 1e-5)
    check(linear(5, 8), linear(8, 1), torch.bfloat16, 1e-5)
    check(linear(5, 8), linear(8, 2), torch.float16, 1e-5)
    parallel = lambda model, _: {
        "epoch": 3,
        "state_dict": torch.nn.DataParallel(model).state_dict(),
        "optimizer": torch.optim.Adam(model.parameters()).state_dict(),
    }
    check(linear(5, 8), linear(8, 1), saved=parallel)
    parameters = lambda model, _: dict(model.named_parameters())
    check(linear(5, 8), linear(8, 1), saved=parameters)

    turned = linear(5, 8).double()
    turned.weight = torch.nn.Parameter(torch.randn(5, 8, dtype=torch.float64).T)
    assert not turned.weight.is_contiguous()
    check(turned, linear(8, 1))

    def shared(model, state):
        flat = torch.cat([tensor.flatten() for tensor in state.values()])
        cuts = np.cumsum([tensor.numel() for tensor in state.values()])
        return {
            name: flat[cut - tensor.numel() : cut].view(tensor.shape)
            for cut, (name, tensor) in zip(cuts.tolist(), state.items(), strict=True)
        }

    check(linear(5, 8), linear(8, 2), saved=shared)
    tied = linear(6, 6, bias=False)
    network = check(tied, tied)
    np.testing.assert_array_equal(
        network.hidden[...], np.asarray(network.output[...]).T
    )
    # Square and not tied: PyTorch writes layers in the order they were made.
    check(linear(6, 6), linear(6, 6))


def test_other_files_of_pytorch_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    path = tmp_path / "net.pt"
    torch.save(model, path)
    with pytest.raises(InputError, match=r"torch\.nn\.modules\.container\.Sequential"):
        read(path, ReLU())
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"before 1\.6"):
        read(path, ReLU())
    torch.save({"w": torch.ones(2, 2, dtype=torch.complex64)}, path)
    with pytest.raises(InputError, match="ComplexFloatStorage"):
        read(path, ReLU())
    normed = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    normed.append(torch.nn.Linear(4, 1))
    torch.save(normed.state_dict(), path)
    with pytest.raises(InputError, match=r"1\.running_mean \(4,\)"):
        read(path, ReLU())


@pytest.mark.parametrize(
    ("make", "fix"),
    [("to_sparse()", "t.to_dense()"), ("mul(1j)", "t.real.clone()")],
)
def test_tensors_that_are_not_read_are_answered_with_a_call_that_works(
    make, fix, tmp_path
):
    torch = pytest.importorskip("torch")
    state = {"0.weight": torch.ones(3, 2), "2.weight": torch.ones(1, 3)}
    path = tmp_path / "net.pt"
    name, _, argument = make.rstrip(")").partition("(")
    words = [complex(argument)] if argument else []
    strange = {n: getattr(t, name)(*words) for n, t in state.items()}
    torch.save(strange, path)
    with pytest.raises(InputError) as caught:
        read(path, ReLU())
    assert fix in caught.value.fix
    mended = lambda t: t.to_dense() if "dense" in fix else t.real.clone()
    torch.save({n: mended(t) for n, t in strange.items()}, path)
    assert read(path, ReLU()).hidden.shape == (3, 2)
