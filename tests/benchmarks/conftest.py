"""A workload of the suite's kind that takes a second instead of minutes."""

import dataclasses

import pytest

from jaxbias.benchmarks.workloads import workload

SMALL = {"samples": 100, "dim": 200, "width": 60, "seeds": 2}


@pytest.fixture(params=["S-p1", "S-p3"])
def small(request):
    return dataclasses.replace(workload(request.param), **SMALL)
