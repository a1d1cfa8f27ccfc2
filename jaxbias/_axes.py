"""The one vocabulary of axes: jaxtyping axes, xarray dimensions and plot labels."""

RUN = "run"
SEED = "seed"
TIME = "time"
NEURON = "neuron"
SAMPLE = "sample"
CLUSTER = "cluster"
FEATURE = "feature"
CLASS = "class"

AXES = (RUN, SEED, TIME, NEURON, SAMPLE, CLUSTER, FEATURE, CLASS)
