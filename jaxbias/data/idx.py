"""The IDX format of MNIST's files, decoded with every way to be broken named."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

from jaxbias._checks import InputError

_UNSIGNED_BYTES = 0x08


def read_idx(
    path: Path, axes: int, sha256: str | None = None, *, source: str = "a fresh copy"
) -> np.ndarray:
    """The unsigned bytes of one gzipped IDX file, in the shape its header gives.

    The header is two zero bytes, the type of an entry (8: unsigned bytes), the number
    of axes, then the length of each as a big-endian 32-bit integer.

    Args:
        path: The file.
        axes: The number of axes it must have: 1 for labels, 3 for images.
        sha256: What the compressed file must hash to; not checked when left out.
        source: Where a good copy is had, for the message of an error.

    Raises:
        InputError: The file is missing, no gzip file, truncated, of another magic
            number or of another checksum; the message says which.
    """

    def refuse(why: str) -> InputError:
        return InputError(f"file {path}", why, source)

    try:
        packed = path.read_bytes()
    except OSError as error:
        raise refuse(f"it cannot be read ({error.strerror})") from error
    try:
        raw = gzip.decompress(packed)
    except EOFError as error:
        raise refuse("it is truncated: the gzip stream ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise refuse(f"it is no whole gzip file ({error})") from error
    magic = bytes((0, 0, _UNSIGNED_BYTES, axes))
    if raw[:4] != magic:
        raise refuse(f"its magic number is {raw[:4].hex()} and not {magic.hex()}")
    header = 4 + 4 * axes
    if len(raw) < header:
        raise refuse(f"it is truncated: {len(raw)} bytes of {header} in its header")
    shape = tuple(np.frombuffer(raw[4:header], ">u4").astype(int))
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(raw) < expected:
        raise refuse(f"it is truncated: {len(raw)} bytes of {expected}")
    if len(raw) > expected:
        raise refuse(f"{len(raw) - expected} bytes follow its {expected}")
    found = hashlib.sha256(packed).hexdigest()
    if sha256 is not None and found != sha256:
        raise refuse(
            f"its SHA-256 checksum is {found[:12]}... and not {sha256[:12]}..."
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
