"""Data models and real datasets."""

from jaxbias.data.clusters import OrthonormalClusters as OrthonormalClusters
from jaxbias.data.dataset import Dataset as Dataset
from jaxbias.data.dataset import cluster_labelled as cluster_labelled
from jaxbias.data.dataset import from_arrays as from_arrays
from jaxbias.data.features import features as features
from jaxbias.data.features import load_features as load_features
from jaxbias.data.images import digits as digits
from jaxbias.data.mixtures import ClusterMixture as ClusterMixture
from jaxbias.data.mnist import mnist as mnist
from jaxbias.data.separable import equicorrelated as equicorrelated
from jaxbias.data.splits import Splits as Splits
