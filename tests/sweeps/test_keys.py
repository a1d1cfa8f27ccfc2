import jax
import numpy as np

from jaxbias import sweeps
from jaxbias.sweeps.keys import run_key, stream_key


def words(key):
    return np.asarray(jax.random.key_data(key)).tolist()


def test_a_key_is_a_function_of_root_stream_and_seed():
    keys = [
        words(run_key(root, seed, stream))
        for root in ("a", "b")
        for stream in ("flow", "test")
        for seed in (0, 1, 2**32 - 1)
    ]
    assert len({tuple(k) for k in keys}) == 12
    assert words(run_key("a", 1)) == words(sweeps.run_key("a", 1, "flow"))


def test_keys_folded_in_a_program_are_the_same():
    seeds = np.array([3, 5, 2**32 - 1], np.uint32)
    fold = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(None, 0)))
    together = words(fold(stream_key("a"), seeds))
    assert together == [words(run_key("a", int(seed))) for seed in seeds]


def test_published_numbers_do_not_follow_the_default_generator():
    before = words(run_key("jaxbias", 0))
    assert len(before) == 2
    with jax.default_prng_impl("rbg"):
        assert words(run_key("jaxbias", 0)) == before
