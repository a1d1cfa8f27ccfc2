"""What can be measured, against what, and where a method lives. Free of JAX."""

FLOWS = {
    "S-p1": "Gradient flow, p = 1: 200 rows in 1000 dimensions, 200 neurons, 8 seeds.",
    "S-p3": "The same at p = 3.",
    "M-p1": "Gradient flow, p = 1: 1000 rows in 2000 dimensions, 500 neurons, 2 seeds.",
    "M-p3": "The same at p = 3.",
}
RADII = {
    "radius-p1": "Upper ends of l_2 radii, p = 1: 200 points of an S network.",
    "radius-p3": "The same at p = 3.",
    "bounds-p1": "Certified lower ends of those radii as well, p = 1.",
    "bounds-p3": "The same at p = 3.",
    "exact-p1": "Branch and bound until both ends meet, p = 1.",
}
BENCHMARKS = FLOWS | RADII
BASELINES = {
    "torch": "The papers' recipe in PyTorch: mini-batch SGD, published at rate 0.2.",
    "diffrax-best": "Diffrax on the weights, its fastest solver and tolerance.",
    "diffrax-ours": "Diffrax on our reduced variables, its fastest solver and norm.",
    "torch-pgd": "The papers' attack in PyTorch: 15 radii, 2000 gradient steps each.",
    "foolbox-fmn": "foolbox's fast minimum-norm attack on JAX, its projection mended.",
}
_BASELINES = "jaxbias.benchmarks.baselines"
_FLOW_METHODS = {
    "ours": "jaxbias.benchmarks.ours",
    "torch": f"{_BASELINES}.torch_recipe",
    "diffrax-best": f"{_BASELINES}.diffrax_weights",
    "diffrax-ours": f"{_BASELINES}.diffrax_reduced",
}
_RADIUS_METHODS = {
    "ours": "jaxbias.benchmarks.ours_radius",
    "torch-pgd": f"{_BASELINES}.torch_pgd",
    "foolbox-fmn": f"{_BASELINES}.foolbox_fmn",
}
#: Of each benchmark, modules with ``CHOSEN`` and ``prepare``; ours first.
METHODS = dict.fromkeys(FLOWS, _FLOW_METHODS) | dict.fromkeys(RADII, _RADIUS_METHODS)
#: Libraries a method needs beyond the compute floors, and the extra that has them.
NEEDS = {
    "torch": ("torch", "bench"),
    "torch-pgd": ("torch", "bench"),
    "foolbox-fmn": ("foolbox", "bench"),
}
