"""The norms and exponents the radius tests run over."""

import numpy as np
import pytest


@pytest.fixture(params=[2, np.inf], ids=["l2", "linf"])
def order(request):
    return request.param


@pytest.fixture(params=[1.0, 1.5, 2.0, 3.0], ids="p{:g}".format)
def exponent(request):
    return request.param
