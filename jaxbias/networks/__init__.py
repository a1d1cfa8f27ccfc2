"""Two-layer networks: activations, initialisations, weights."""

from jaxbias.networks import readouts as readouts
from jaxbias.networks.activations import (
    Activation as Activation,
)
from jaxbias.networks.activations import (
    LeakyReLU as LeakyReLU,
)
from jaxbias.networks.activations import (
    Power as Power,
)
from jaxbias.networks.activations import (
    PReLU as PReLU,
)
from jaxbias.networks.activations import (
    ReLU as ReLU,
)
from jaxbias.networks.checkpoints import (
    read as read,
)
from jaxbias.networks.checkpoints import (
    save as save,
)
from jaxbias.networks.constructions import (
    averaged_classifier as averaged_classifier,
)
from jaxbias.networks.constructions import (
    bayes_score as bayes_score,
)
from jaxbias.networks.constructions import (
    nearest_centre_score as nearest_centre_score,
)
from jaxbias.networks.constructions import (
    per_centre_classifier as per_centre_classifier,
)
from jaxbias.networks.decoupling import (
    decoupled_network as decoupled_network,
)
from jaxbias.networks.decoupling import (
    mixture_network as mixture_network,
)
from jaxbias.networks.initialization import (
    balanced as balanced,
)
from jaxbias.networks.initialization import (
    torch_uniform as torch_uniform,
)
from jaxbias.networks.initialization import (
    unbalanced as unbalanced,
)
from jaxbias.networks.two_layer import (
    TwoLayer as TwoLayer,
)
from jaxbias.networks.two_layer import (
    TwoLayerNetwork as TwoLayerNetwork,
)
from jaxbias.networks.weights import (
    Weights as Weights,
)
from jaxbias.networks.weights import (
    features as features,
)
from jaxbias.networks.weights import (
    predict as predict,
)
from jaxbias.networks.weights import (
    row_norms as row_norms,
)
