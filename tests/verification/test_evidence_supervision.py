"""Medians of a table as evidence; the table itself is held in the study's tests."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from jaxbias.studies import _supervision
from jaxbias.studies._supervised import DIGITS, Supervision
from jaxbias.theory._claim import Computation
from jaxbias.theory.supervision import CLAIMS, PROTOCOL
from jaxbias.verification import verify
from jaxbias.verification.evidence import execute

TASKS, READOUTS = ["parity", "halves"], ["class", "max", "sum"]
ENDS = ["certified", "upper"]


@pytest.fixture
def asked(monkeypatch):
    """What was asked for; the answer has radii 0.4, 0.6 and 0.5 times their ends."""
    calls = []

    def answer(settings, *, root, tick):
        calls.append((settings, root))
        tick("nothing")
        seeds = np.linspace(0.99, 1.01, settings.seeds)
        readouts = np.array([0.4, 0.6, 0.5])[:, None, None]
        median = readouts * np.array([0.7, 1.0])[:, None] * seeds
        return xr.Dataset(
            {
                "median_radius": (
                    ("task", "readout", "end", "seed"),
                    np.stack([median, 0.9 * median]),
                )
            },
            {"task": TASKS, "readout": READOUTS, "end": ENDS},
        )

    monkeypatch.setattr(_supervision, "supervision", answer)
    return calls


def test_radii_are_named_by_task_readout_and_end(asked):
    request = Computation("images/supervision", {**PROTOCOL, "seeds": 4})
    found = execute(request, 7)
    names = {f"{t} {r} {e}" for t in TASKS for r in READOUTS for e in ENDS}
    assert set(found.arrays) == names
    np.testing.assert_allclose(
        found.arrays["halves max certified"],
        0.9 * 0.6 * 0.7 * np.linspace(0.99, 1.01, 4),
    )
    assert found.seeds == 4
    [(settings, root)] = asked
    assert settings == Supervision(**PROTOCOL, seeds=4)
    assert "7" in root


def test_the_protocol_of_the_claims_is_that_of_the_figure():
    assert Supervision(**PROTOCOL, seeds=DIGITS.seeds) == DIGITS
    quick = CLAIMS[0].evidence(CLAIMS[0].setting, "quick")
    assert isinstance(quick, Computation)
    assert {**quick.parameters, "path": None} == dataclasses.asdict(DIGITS)


def test_all_claims_share_one_run_and_refuse_their_decoys(asked):
    found = verify([claim.id for claim in CLAIMS], teeth=True)
    assert len(asked) == 1
    assert [row.verdict for row in found] == ["not refuted"] * len(CLAIMS)
    assert all(row.teeth for row in found)
    assert all(row.seeds == 3 for row in found)
