import gzip
import hashlib

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data.idx import read_idx


def written(folder, raw: bytes):
    path = folder / "images.gz"
    path.write_bytes(gzip.compress(raw))
    return path


def header(kind: int, *shape: int) -> bytes:
    lengths = b"".join(n.to_bytes(4, "big") for n in shape)
    return bytes((0, 0, kind, len(shape))) + lengths


@pytest.fixture
def pixels():
    return np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)


def test_what_was_written_is_read(tmp_path, pixels):
    path = written(tmp_path, header(8, 2, 3, 5) + pixels.tobytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    read = read_idx(path, 3, digest)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.gz.*No such file"):
        read_idx(tmp_path / "nowhere.gz", 1)


def test_another_checksum_is_named(tmp_path, pixels):
    path = written(tmp_path, header(8, 2, 3, 5) + pixels.tobytes())
    with pytest.raises(InputError, match="checksum is .* and not 000000000000"):
        read_idx(path, 3, "0" * 64)


@pytest.mark.parametrize(
    ("kind", "axes"), [(0x0D, 3), (8, 1)], ids=["floats", "labels"]
)
def test_another_magic_number_is_named(tmp_path, pixels, kind, axes):
    path = written(tmp_path, header(kind, 2, 3, 5) + pixels.tobytes())
    with pytest.raises(InputError, match=f"magic number is 0000{kind:02x}03 and not"):
        read_idx(path, axes, "0" * 64)


def test_too_few_and_too_many_bytes_are_named(tmp_path, pixels):
    whole = header(8, 2, 3, 5) + pixels.tobytes()
    with pytest.raises(InputError, match="truncated: 45 bytes of 46"):
        read_idx(written(tmp_path, whole[:-1]), 3)
    with pytest.raises(InputError, match="truncated"):
        read_idx(written(tmp_path, whole[:9]), 3)
    with pytest.raises(InputError, match="1 bytes follow its 46"):
        read_idx(written(tmp_path, whole + b"x"), 3)


def test_a_gzip_stream_that_ends_early_is_named(tmp_path, pixels):
    path = written(tmp_path, header(8, 2, 3, 5) + pixels.tobytes())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="truncated: the gzip stream ends early"):
        read_idx(path, 3)


def test_what_is_no_gzip_file_is_named(tmp_path, pixels):
    path = tmp_path / "page.gz"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(InputError, match="no whole gzip file"):
        read_idx(path, 3)
    path = written(tmp_path, header(8, 2, 3, 5) + pixels.tobytes())
    spoilt = bytearray(path.read_bytes())
    spoilt[-6] ^= 0xFF
    path.write_bytes(bytes(spoilt))
    with pytest.raises(InputError, match="no whole gzip file"):
        read_idx(path, 3)
