"""Random numbers of one generator, whatever JAX is told to use elsewhere.

Every draw of the package is made here: by threefry, and by the one of its two streams
that JAX calls partitionable. ``jax_threefry_partitionable`` chooses between them where
a program is compiled, which a context around the draw does not reach, so the stream is
written out. By default JAX draws the same numbers, bit for bit.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import random as generators
from jaxtyping import Array, Float, Key, UInt32

from jaxbias._checks import InputError

_NAME = "threefry2x32"


def _hashed(key: Array, shape: tuple[int, ...]) -> list[Array]:
    """Two words for each entry: the hash of its number, counted row by row."""
    size = math.prod(shape)
    assert size < 2**32, "the higher word of the numbers is taken to be 0"
    low = lax.iota(np.uint32, size).reshape(shape)
    return generators.threefry2x32_p.bind(key[0], key[1], jnp.zeros_like(low), low)


def _bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    first, second = _hashed(key, shape)
    if width == 64:
        high = first.astype(np.uint64)
        return lax.shift_left(high, jnp.full_like(high, 32)) | second.astype(np.uint64)
    return (first ^ second).astype(f"uint{width}")


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(_hashed(key, shape), axis=-1)


_PINNED = generators.define_prng_impl(
    key_shape=(2,),
    seed=generators.threefry_prng_impl.seed,
    split=_split,
    random_bits=_bits,
    fold_in=generators.threefry_prng_impl.fold_in,
    name="threefry2x32_partitionable",
    tag="fryp",
)


def seed_key(seed: int) -> Key[Array, ""]:
    """The key that ``jax.random.key(seed)`` is by default, for a seed below 2^32.

    ``jax_random_seed_offset`` does not move it.
    """
    words = jnp.asarray([0, np.uint32(seed)], np.uint32)
    return jax.random.wrap_key_data(words, impl=_NAME)


def checked_key(key: Any) -> Key[Array, ""]:
    """The key itself, of the type ``jax.random.key`` has by default.

    Args:
        key: one key, typed, or two raw words such as ``jax.random.PRNGKey`` returns.

    Raises:
        InputError: for what is no key, for several keys, and for a key of another
            generator, whose numbers differ between versions and devices.
    """
    array = isinstance(key, jax.Array)
    typed = array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    one = f"jax.random.key(0, impl={_NAME!r})"
    if typed and jax.random.key_impl(key) == _PINNED:
        key = jax.random.wrap_key_data(jax.random.key_data(key), impl=_NAME)
    if typed and str(jax.random.key_impl(key)) != _NAME:
        raise InputError(
            f"a key of the generator {str(jax.random.key_impl(key))!r}",
            f"all draws are {_NAME}'s, so that a seed means the same everywhere",
            one,
        )
    if typed and key.shape == ():
        return key
    words = array or isinstance(key, np.ndarray)
    if not typed and words and key.shape == (2,) and key.dtype == np.uint32:
        return jax.random.wrap_key_data(jnp.asarray(key), impl=_NAME)
    if words:
        told = f"key of shape {key.shape} and type {key.dtype}"
    else:
        told = f"key={key!r}"
    raise InputError(told, "it is not one key of JAX", one)


def _pinned(key: Any) -> Key[Array, ""]:
    words = jax.random.key_data(checked_key(key))
    return jax.random.wrap_key_data(words, impl=_PINNED)


def words(key: Any) -> UInt32[Array, "2"]:
    """The key as two numbers, which a file can hold; draws take them as they are."""
    return numbers_of(checked_key(key))


def numbers_of(keys: Any) -> UInt32[Array, "..."]:
    """Typed keys, of any generator, as the numbers that they are."""
    return jax.random.key_data(keys)


def lent(key: Any, shape: tuple[int, ...] = ()) -> Key[Array, "..."]:
    """The key for others to draw from, whose draws are then pinned as well.

    Args:
        key: the key.
        shape: of several keys made of it, where flax keeps as many.
    """
    if not shape:
        return _pinned(key)
    return jax.random.split(_pinned(key), shape)


def rngs(key: Any) -> Any:
    """The keys that flax makes of a key, as ``nnx.Rngs``, and draws from, pinned."""
    from flax import nnx

    return nnx.Rngs(lent(key))


def fold_in(key: Any, number: Any) -> Key[Array, ""]:
    """The key of a key and a number below 2^32; as ``jax.random.fold_in``."""
    return jax.random.fold_in(checked_key(key), number)


def split(key: Any, count: int = 2) -> Key[Array, " key"]:
    """Keys made of one; as ``jax.random.split``."""
    words: UInt32[Array, "key 2"] = jax.random.key_data(
        jax.random.split(_pinned(key), count)
    )
    return jax.random.wrap_key_data(words, impl=_NAME)


def normal(key: Any, shape: tuple[int, ...], dtype: Any) -> Float[Array, "..."]:
    """Standard Gaussian numbers; as ``jax.random.normal``."""
    return jax.random.normal(_pinned(key), shape, dtype)


def uniform(
    key: Any,
    shape: tuple[int, ...],
    dtype: Any,
    low: float | int = 0,
    high: float | int = 1,
) -> Float[Array, "..."]:
    """Numbers uniform in [low, high); as ``jax.random.uniform``."""
    return jax.random.uniform(_pinned(key), shape, dtype, minval=low, maxval=high)


def permutation(key: Any, rows: Any) -> Array:
    """The rows, or the numbers below ``rows``, in random order.

    As ``jax.random.permutation``.
    """
    return jax.random.permutation(_pinned(key), rows)
