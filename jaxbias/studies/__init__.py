"""Studies: one paper each, from runs to verdicts and figures. Names need no jax."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxbias._checks import one_of

Progress = Callable[[int, int, str], None]
SIZES = ("quick", "paper", "full")


@dataclass(frozen=True)
class Study:
    """What is known of a study before it runs.

    Attributes:
        description: one line.
        main: whether ``jaxbias reproduce`` runs it unasked.
        figures: what each figure shows, by its file's name.
    """

    description: str
    main: bool
    figures: dict[str, str]


STUDIES = {
    "neuron_alignment": Study(
        "Neurons align with class averages (ReLU) or with single clusters (pReLU, "
        "p > 2), and robustness follows (ICML 2024, ICML 2025).",
        main=True,
        figures={
            "distance": "Distance of the trained network to its ideal classifier "
            "against intra-cluster noise: F for p = 1, F^(3) for p = 3.",
            "contributions": "Contributions |v||w| of the neurons in falling order.",
            "cosine_map": "Cosines of the dominant neurons to the cluster centres.",
            "robust_accuracy": "Robust accuracy against radius: the paper's attack, an "
            "upper bound from witnesses and a certified lower bound. Hatched: what no "
            "classifier reaches (MV25, Proposition 1). The paper's attack stands there "
            "because its gradient towards inactive opposite centres is 0.",
            "models": "Robust accuracy of six models on clusters (MV25, Fig. 2): only "
            "pReLU and the Bayes rule come near sqrt(2)/2.",
            "parametrisations": "The weight-normalised pReLU and the plain cubed ReLU, "
            "from small and large weights (MV25, Fig. 7).",
            "alignment": "Cosines, loss and distance during descent, from a random and "
            "a nudged start, and the predicted iteration (MV25, Fig. 5 and 6).",
            "two_phases": "Neurons of a ReLU network turn before they grow when both "
            "layers are trained (MMV24).",
            "separable": "Alignment slows down as two samples become orthogonal, and "
            "stops at orthogonality (MMV24).",
            "mnist": "pReLU networks on MNIST (size paper): clean accuracy, stable "
            "ranks, and accuracy in l_inf, under attack (line: the better of APGD-CE "
            "and the minimum-norm attack at each point; dots: APGD-CE alone) and "
            "certified (dashed).",
            "mnist_cosines": "Cosines of the neurons of largest contribution to the "
            "mean image of each digit, first seed; in the titles the median over "
            "neurons of the largest cosine.",
            "widths": "Robust radius at the centres and amplitude of the positive "
            "class, over width and noise.",
            "scales": "How the end state moves with the scale of initialisation, at "
            "equal training loss.",
            "digits": "pReLU networks on handwritten digits, parity and ten classes: "
            "accuracy, stable rank of the features, robust accuracy.",
        },
    ),
    "feature_averaging": Study(
        "Two labels make neurons average the clusters of a class, cluster labels make "
        "them single clusters out; what either leaves of robustness (ICLR 2025).",
        main=True,
        figures={
            "geometry": "Where three explicit networks stop being right, on planes "
            "through the centre mu_1 (Fig. 1). Each plane holds the shortest steps "
            "that break two of them; dashed circles are exact radii about mu_1, and "
            "a network's circle touches its line where its own step ends. Nothing "
            "that is right at mu_1 and mu_4 has a larger circle at both than the "
            "outermost.",
            "averaging_cosines": "Cosines of neurons to centres at the paper's size "
            "(Fig. 2 a, b), with output weights 1/m of its text and 1 of its code. "
            "Above the first seed, below every cosine of every seed and, as a line, "
            "the closed form: 0.445 is perfect averaging of five centres, not a weak "
            "alignment.",
            "readout_accuracy": "Robust accuracy against l2 radius at the paper's size "
            "(Fig. 3, left): exact radii of fresh samples, closed forms where there "
            "are any, the paper's attack and its published points. Hatched: what no "
            "classifier reaches; the attack on ten classes stands there because it "
            "sees no gradient towards other clusters.",
            "averaging_sweeps": "Cosines to own centres against everything that a "
            "recipe holds. The spread at a large rate is that of the first step, "
            "which later ones leave as it is; at a large start some neurons miss "
            "some clusters.",
            "phase": "Radius at the centres against the number of clusters k, half of "
            "each label. Points are the median centres of seeds, dashes the least "
            "centre of all, bars join ends that do not meet. Solid: closed forms of "
            "ideal networks, 1/sqrt(k), 1/sqrt(2) and 1/sqrt(1 + k_-). Dotted: that of "
            "sums with the small negative answers to other centres that training "
            "leaves.",
            "supervision_digits": "Two labels against all ten on handwritten digits: "
            "robust accuracy, median radii, clean accuracy, one line or point a seed.",
            "supervision_digits_cosines": "Cosines of the mean weights of groups of "
            "neurons to the mean digits; framed: the group's own classes.",
            "supervision_mnist": "The same on MNIST, where its files are.",
            "supervision_mnist_cosines": "The same cosines on MNIST.",
        },
    ),
}


@dataclass(frozen=True)
class StudyReport:
    """What a study came to.

    Attributes:
        rows: verdict rows, as ``verify --json`` prints them.
        figures: paths of the PNG and PDF files.
        failed: runs that did not finish; none is left out of a figure silently.
    """

    rows: list[dict[str, Any]]
    figures: list[Path]
    failed: int


def run(
    name: str,
    *,
    size: str = "quick",
    out: str | Path = "figures",
    progress: Progress | None = None,
) -> StudyReport:
    """Run a study afresh and write its folder ``out/name``.

    Written are ``verdicts.json``, a PDF, a PNG and ``data/*.nc`` for every figure, and
    a README that says what was run.

    Args:
        name: a key of :data:`STUDIES`.
        size: ``"quick"`` (minutes on two cores), ``"paper"`` or ``"full"``.
        out: the folder of all studies.
        progress: called with parts done, parts in all and what is being done.

    Raises:
        InputError: for an unknown study or size, and where files cannot be written.
    """
    one_of("study", name, STUDIES)
    one_of("size", size, SIZES)
    study = importlib.import_module(f"jaxbias.studies.{name}")
    return study.run(size, Path(out) / name, progress or (lambda *_: None))


def sweep_flow(name: str) -> Any:
    """The gradient flow from which ``jaxbias sweep`` departs for a study.

    Raises:
        InputError: for an unknown study.
    """
    one_of("study", name, STUDIES)
    return importlib.import_module(f"jaxbias.studies.{name}").sweep_flow()
