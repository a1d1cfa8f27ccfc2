"""safetensors files, written here by hand: read bit by bit, or refused in one line."""

import contextlib
import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxbias._checks import InputError
from jaxbias.networks import ReLU, read
from jaxbias.networks._safetensors_file import read_safetensors

CODES = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16"}
CODES |= {"i1": "I8", "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8", "?": "BOOL"}

WRITTEN = (
    b'\xd0\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{"by":"safetensors 0.8.0"},'
    b'"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},'
    b'"w":{"dtype":"F32","shape":[1,2],"data_offsets":[16,24]},'
    b'"h":{"dtype":"F16","shape":[],"data_offsets":[24,26]}}'
    b"\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
    b"\x00\x00\xc0?\x00\x00\x00\xc0\x008"
)


def packed(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def whole(arrays, **more):
    """The header and the data of arrays, one after the other."""
    header, data = dict(more), b""
    for name, array in arrays.items():
        array = np.asarray(array)
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": CODES[array.dtype.str.lstrip("<>|=").replace("b1", "?")],
            "shape": list(np.shape(array)),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return header, data


def layers(classes=1, dtype="f4"):
    rng = np.random.default_rng(classes)
    shapes = {"2.bias": (classes,), "2.weight": (classes, 6)}
    shapes |= {"0.bias": (6,), "0.weight": (6, 4)}
    return {n: rng.standard_normal(s).astype(dtype) for n, s in shapes.items()}


def put(folder, content):
    path = folder / "model.safetensors"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("classes", [1, 3])
def test_a_file_is_the_network_it_was(classes, tmp_path):
    arrays = layers(classes)
    path = put(tmp_path, packed(*whole(arrays, __metadata__={"format": "pt"})))
    network = read(path, ReLU())
    assert network.hidden.dtype == np.float32
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    inputs = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    units = np.maximum(inputs @ wide["0.weight"].T + wide["0.bias"], 0)
    want = units @ wide["2.weight"].T + wide["2.bias"]
    found = np.asarray(network(jnp.asarray(inputs))).reshape(want.shape)
    np.testing.assert_allclose(found, want, 1e-5, 1e-5)


def test_every_type_keeps_its_numbers(tmp_path):
    arrays = {code: np.array([[0, 1, 100]]).astype(code) for code in CODES}
    arrays |= {"none": np.zeros((0, 3), "f4"), "one": np.array(2.5, "f8")}
    found = read_safetensors(put(tmp_path, packed(*whole(arrays))), "it")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1.0, -2.5, 0.15625, 3e38, 2**-130, 0.0], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    entry = {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}
    path = put(tmp_path, packed({"w": entry}, halves.tobytes()))
    found = read_safetensors(path, "it")["w"]
    assert found.dtype == np.float32
    exact = (values.view(np.uint32) >> 16 << 16).view(np.float32)
    np.testing.assert_array_equal(found.ravel(), exact)


def claimed(**claims):
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return packed({"w": {**good, **claims}}, b"\0" * 8)


def pair(first, second, size=16):
    entry = lambda place: (
        {"dtype": "U8", "shape": [place[1] - place[0]]} | {"data_offsets": list(place)}
    )
    return packed({"a": entry(first), "b": entry(second)}, b"\0" * size)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (claimed(dtype="F8_E4M3"), "of type 'F8_E4M3'"),
        (claimed(dtype=["F32"]), "of type ['F32']"),
        (claimed(shape=[3]), "not in bytes 0 to 8 of 8"),
        (claimed(shape=[2, 0]), "not in bytes"),
        (claimed(shape=[2**40, 2**40]), "not in bytes"),
        (claimed(shape=[-2]), "whole numbers"),
        (claimed(shape=[2.0]), "whole numbers"),
        (claimed(shape=[True, 2]), "whole numbers"),
        (claimed(shape=2), "whole numbers"),
        (claimed(shape=[1] * 40 + [2]), "whole numbers"),
        (claimed(data_offsets=[0, 8.0]), "whole numbers"),
        (claimed(data_offsets=[-8, 0]), "whole numbers"),
        (claimed(data_offsets=[8, 16]), "not in bytes 8 to 16 of 8"),
        (claimed(data_offsets=[8, 0]), "not in bytes"),
        (claimed(data_offsets=[0]), "lacks its type"),
        (packed({"w": [1]}), "lacks its type"),
        (packed({"w": {"dtype": "F32"}}), "lacks its type"),
        (pair((0, 9), (7, 16)), "overlap or leave gaps"),
        (pair((0, 7), (9, 16)), "overlap or leave gaps"),
        (pair((0, 16), (0, 16)), "overlap or leave gaps"),
        (pair((1, 8), (8, 16)), "overlap or leave gaps"),
        (pair((0, 8), (8, 15)), "1 of its bytes belong to no tensor"),
        (packed({}, length=2**31), "longer than the file"),
        (packed({}, length=3), "safetensors"),
        (packed(b"{}{}"), "safetensors"),
        (packed(b'{"a": NaN}'), "holds NaN"),
        (packed(b'{"a": {}, "a": {}}'), "a name twice"),
        (packed(b'{"a":' + b"[" * 100_000), "safetensors"),
        (packed(b'{"\xff": 1}'), "safetensors"),
        (packed({}), "without any array"),
        (packed({"__metadata__": {}}), "without any array"),
    ],
)
def test_every_claim_is_checked(content, told, tmp_path):
    with pytest.raises(InputError) as caught:
        read(put(tmp_path, content), ReLU())
    assert told in str(caught.value), str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_file_cut_anywhere_or_changed_is_one_clear_error(tmp_path):
    content = packed(*whole(layers()))
    for end in [*range(9, 200, 7), *range(200, len(content), 31)]:
        with pytest.raises(InputError, match="no complete safetensors file"):
            read(put(tmp_path, content[:end]), ReLU())
    with pytest.raises(InputError, match="belong to no tensor"):
        read(put(tmp_path, content + b"\0"), ReLU())


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 3),
)
def test_any_change_is_an_answer(tmp_path, changes, more):
    content = bytearray(packed(*whole(layers())))
    for place, byte in changes:
        content[place] = byte
    # Anything but what it refuses would be raised here.
    with contextlib.suppress(InputError):
        read(put(tmp_path, bytes(content) + b"\0" * more), ReLU())


def test_sorted_names_do_not_tell_the_order_of_layers(tmp_path):
    square = np.arange(36.0).reshape(6, 6).astype(np.float32)
    path = put(tmp_path, packed(*whole({"a.weight": square, "b.weight": square + 1})))
    with pytest.raises(InputError, match="either layer can be the first"):
        read(path, ReLU())
    network = read(path, ReLU(), hidden="b.weight", output="a.weight")
    np.testing.assert_array_equal(network.hidden[...], square + 1)


def test_a_file_of_the_package_itself(tmp_path):
    # What save({"w": [[1.5, -2]] as F32, "a": [1, -1] as I64, "h": 0.5 as F16}) wrote.
    path = put(tmp_path, WRITTEN)
    found = read_safetensors(path, "it")
    want = {
        "w": np.array([[1.5, -2]], "f4"),
        "a": np.array([1, -1]),
        "h": np.float16(0.5),
    }
    assert set(found) == set(want)
    for name, array in want.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
