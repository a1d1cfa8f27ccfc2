"""Strict JAX for every test: float64, no silent promotion, two CPU devices."""

import os

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A first example compiles, so there is no deadline; the quick profile never varies.
hypothesis.settings.register_profile(
    "quick", max_examples=15, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("nightly", max_examples=500, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure(config):
    # Most of the suite's time is compilation: both workers, later modules, processes
    # that tests start and later sessions share what has been compiled once.
    if hasattr(config, "cache"):
        folder = str(config.cache.mkdir("compiled"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    # Thousands of compiled programs in one process run into the limit on memory maps.
    yield
    jax.clear_caches()


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param
