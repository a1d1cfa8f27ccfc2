"""The default effort is nearly exact: upper ends of biased nets and summed logits.

`scripts/tightness.py biased` is the same at length.
"""

import itertools
import pathlib

import jax
import numpy as np
import pytest

from jaxbias.robustness import Budget

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"
# Of all points, and by how much the others may be longer.
NEARLY_ALL, LONGER = 0.99, 1.02


@pytest.fixture
def tightness(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    import tightness  # pyright: ignore[reportMissingImports]

    # The script is a program of its own and sets the flag for good.
    jax.config.update("jax_enable_x64", before)
    with jax.enable_x64(True):
        yield tightness


def test_upper_ends_are_at_most_two_percent_above_exact(tightness):
    cases = itertools.chain(
        *(tightness.random_biased(1.0, order, 16) for order in (2.0, np.inf)),
        *(tightness.random_biased(3.0, order, 4) for order in (2.0, np.inf)),
        itertools.islice(tightness.summed("explicit", 2.0), 3),
    )
    budget = Budget(nodes=100, gap=1e-3, seconds=5)
    ratios, missed, _, networks = tightness.above_exact(cases, budget)
    assert networks == 43
    assert len(ratios) >= 150
    assert missed == 0
    assert np.mean(ratios <= LONGER) >= NEARLY_ALL
