"""What can be measured, against what, and where a method lives. Free of JAX."""

BENCHMARKS = {
    "S-p1": "Gradient flow, p = 1: 200 rows in 1000 dimensions, 200 neurons, 8 seeds.",
    "S-p3": "The same at p = 3.",
    "M-p1": "Gradient flow, p = 1: 1000 rows in 2000 dimensions, 500 neurons, 2 seeds.",
    "M-p3": "The same at p = 3.",
}
BASELINES = {
    "torch": "The papers' recipe in PyTorch: mini-batch SGD, rate 0.2 or more.",
    "diffrax-best": "Diffrax on the weights, its fastest solver and tolerance.",
    "diffrax-ours": "Diffrax on our reduced variables, its fastest solver and norm.",
}
#: Modules with ``SETTINGS`` and ``prepare``; ours first.
METHODS = {
    "ours": "jaxbias.benchmarks.ours",
    "torch": "jaxbias.benchmarks.baselines.torch_recipe",
    "diffrax-best": "jaxbias.benchmarks.baselines.diffrax_weights",
    "diffrax-ours": "jaxbias.benchmarks.baselines.diffrax_reduced",
}
#: Libraries a method needs beyond the compute floors, and the extra that has them.
NEEDS = {"torch": ("torch", "bench")}
