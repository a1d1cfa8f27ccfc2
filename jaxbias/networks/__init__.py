"""Two-layer networks: activations, initialisations, weights."""

from jaxbias.networks.activations import (
    Activation as Activation,
    LeakyReLU as LeakyReLU,
    Power as Power,
    PReLU as PReLU,
    ReLU as ReLU,
)
from jaxbias.networks.initialization import (
    balanced as balanced,
    unbalanced as unbalanced,
)
from jaxbias.networks.two_layer import (
    TwoLayer as TwoLayer,
    TwoLayerNetwork as TwoLayerNetwork,
)
from jaxbias.networks.weights import (
    Weights as Weights,
    features as features,
    predict as predict,
    row_norms as row_norms,
)
