"""Evidence: a claim's request, as data, carried out to arrays.

A `Computation` names a registered function of its parameters and a seed root; a
`Training` goes through sweeps. Whoever computes states the conventions it used, and
a claim under other conventions is not judged.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxbias._checks import InputError, one_of
from jaxbias.theory._claim import Claim, Computation, Training, conventions

#: Where each group of computations is registered.
_GROUPS = {
    "radii": "jaxbias.verification.evidence_radii",
    "sampling": "jaxbias.verification.evidence_sampling",
    "early": "jaxbias.verification.evidence_early",
    "growth": "jaxbias.verification.evidence_growth",
    "conserved": "jaxbias.verification.evidence_conserved",
    "scaling": "jaxbias.verification.evidence_scaling",
    "images": "jaxbias.verification.evidence_images",
    "closeness": "jaxbias.verification.evidence_closeness",
    "separable": "jaxbias.verification.evidence_separable",
    "separable_limit": "jaxbias.verification.evidence_separable_limit",
    "clean": "jaxbias.verification.evidence_clean",
    "convergence": "jaxbias.verification.evidence_convergence",
    "steps": "jaxbias.verification.evidence_steps",
    "signs": "jaxbias.verification.evidence_signs",
    "descent": "jaxbias.verification.evidence_descent",
    "margins": "jaxbias.verification.evidence_margins",
    "largest_margin": "jaxbias.verification.evidence_largest_margin",
    "collapse": "jaxbias.verification.evidence_collapse",
    "readouts": "jaxbias.verification.evidence_readouts",
    "readout_searches": "jaxbias.verification.evidence_readout_searches",
    "readout_samples": "jaxbias.verification.evidence_readout_samples",
    "reported": "jaxbias.verification.evidence_reported",
    "averaging": "jaxbias.verification.evidence_averaging",
    "least_norm": "jaxbias.verification.evidence_least_norm",
    "trained_readouts": "jaxbias.verification.evidence_trained_readouts",
}
_COMPUTATIONS: dict[str, tuple[Callable[..., Mapping[str, Any]], dict]] = {}


@dataclass(frozen=True)
class Evidence:
    """Arrays by name, the conventions they were computed under, and the runs behind.

    Attributes:
        arrays: numbers by name; NaN where a run did not finish.
        conventions: the eight conventions; ``None`` where one did not enter.
        seeds: independent draws or runs.
        failed: those that did not finish.
    """

    arrays: Mapping[str, Any]
    conventions: Mapping[str, str | None] = field(default_factory=dict)
    seeds: int = 0
    failed: int = 0


def computation(name: str, **stated: str):
    """Register a computation ``(parameters, root) -> arrays`` and its conventions."""

    def register(function):
        _COMPUTATIONS[name] = (function, conventions(**stated))
        return function

    return register


def execute(request: Computation | Training, root: int) -> Evidence:
    """Carry out a request with the seed root of its claim.

    Raises:
        InputError: the computation is not registered.
    """
    if isinstance(request, Training):
        from jaxbias.verification.evidence_training import train

        return train(request, root)
    group = request.name.partition("/")[0]
    one_of("computation", group, _GROUPS)
    importlib.import_module(_GROUPS[group])
    one_of("computation", request.name, _COMPUTATIONS)
    function, stated = _COMPUTATIONS[request.name]
    arrays = dict(function(request.parameters, root))
    used = {**stated, **arrays.pop("conventions", {})}
    return Evidence(
        arrays,
        used,
        seeds=int(arrays.pop("seeds", 0)),
        failed=int(arrays.pop("failed", 0)),
    )


def check_conventions(claim: Claim, evidence: Evidence) -> None:
    """Refuse to judge a claim by evidence under other conventions.

    Raises:
        InputError: a convention stated on both sides differs.
    """
    for name, stated in claim.conventions.items():
        used = evidence.conventions.get(name)
        if stated is not None and used is not None and stated != used:
            raise InputError(
                f"{claim.id} with {name}={used!r}",
                f"the claim is stated for {name}={stated!r}, so this evidence"
                " cannot judge it",
                f"evidence computed with {name}={stated!r}",
            )
