"""Data models and real datasets."""

from jaxbias.data.clusters import OrthonormalClusters as OrthonormalClusters
from jaxbias.data.dataset import Dataset as Dataset
from jaxbias.data.dataset import from_arrays as from_arrays
from jaxbias.data.images import digits as digits
from jaxbias.data.mnist import Splits as Splits
from jaxbias.data.mnist import features as features
from jaxbias.data.mnist import mnist as mnist
