"""Workloads of the suite's kind that take a second instead of minutes."""

import dataclasses

import pytest

from jaxbias.benchmarks.flows import flow
from jaxbias.benchmarks.radii import Radii

SMALL = {"samples": 100, "dim": 200, "width": 60, "seeds": 2}


def _small(name):
    size, _, exponent = name.partition("-p")
    return dataclasses.replace(flow(size, int(exponent)), **SMALL)


@pytest.fixture(params=["S-p1", "S-p3"])
def small(request):
    return _small(request.param)


@pytest.fixture(params=["S-p1", "S-p3"])
def few(request):
    """Radii of a few points of a small network."""
    return Radii("few", "attack", _small(request.param), points=12)
