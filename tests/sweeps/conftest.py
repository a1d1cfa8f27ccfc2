import pytest

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks import PReLU, TwoLayer, balanced


@pytest.fixture
def clusters():
    return OrthonormalClusters(dim=12, clusters=4, positive=2, noise=0.1)


@pytest.fixture
def flow(clusters):
    return GradientFlow(TwoLayer(64, init=balanced(1e-3)), clusters, samples=8)


@pytest.fixture
def cubic(clusters):
    network = TwoLayer(64, PReLU(3), balanced(1e-2))
    return GradientFlow(network, clusters, samples=8)
