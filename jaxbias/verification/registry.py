"""The ledger: every claim, found by id, by prefix or by study."""

import difflib
from collections.abc import Iterable
from functools import cache

from jaxbias._checks import InputError
from jaxbias.theory import (
    averaged_radii,
    averaging_growth,
    averaging_structure,
    centre_radii,
    clean_accuracy,
    close_networks,
    closeness,
    collapse,
    conserved,
    convergence,
    decoupled_radii,
    descent_steps,
    early_alignment,
    factorisation,
    growth,
    images,
    largest_margin,
    late_phase,
    margins,
    multiclass_early,
    printed_steps,
    proof_steps,
    readout_accuracy,
    reported_curves,
    sample_radii,
    separable,
    separable_flow,
    separable_loss,
    separable_rank,
    separable_scale,
    separable_times,
    sign_selection,
    supervision,
    trained,
    trained_limits,
    trained_readouts,
    two_averages,
)
from jaxbias.theory._claim import Claim
from jaxbias.theory.statistics import corrected_alpha

_MODULES = (
    centre_radii,
    sample_radii,
    closeness,
    early_alignment,
    separable,
    separable_scale,
    separable_flow,
    separable_times,
    separable_loss,
    separable_rank,
    growth,
    late_phase,
    two_averages,
    margins,
    largest_margin,
    multiclass_early,
    collapse,
    factorisation,
    clean_accuracy,
    proof_steps,
    printed_steps,
    sign_selection,
    descent_steps,
    conserved,
    trained,
    trained_limits,
    close_networks,
    convergence,
    images,
    supervision,
    averaged_radii,
    decoupled_radii,
    readout_accuracy,
    reported_curves,
    averaging_growth,
    averaging_structure,
    trained_readouts,
)


@cache
def ledger() -> dict[str, Claim]:
    """All claims by id, in the order of the ledger."""
    claims: dict[str, Claim] = {}
    for module in _MODULES:
        for claim in module.CLAIMS:
            if claim.id in claims:
                raise InputError(
                    f"two claims named {claim.id}", "an id names one", "another id"
                )
            claims[claim.id] = claim
    return claims


def level() -> float:
    """alpha_c, the level of every conclusive stochastic verdict of this release."""
    return corrected_alpha()


def select(targets: str | Claim | Iterable[str | Claim] | None = None) -> list[Claim]:
    """Claims named by full id, study, or prefix of an id, in the ledger's order.

    Without targets these are all but those marked ``on_request``. A claim that is given
    itself comes after those, whether the ledger has it or not.

    Raises:
        InputError: a target names none; close matches are offered.
    """
    claims = ledger()
    if targets is None:
        return [claim for claim in claims.values() if not claim.on_request]
    wanted: set[str] = set()
    given: dict[str, Claim] = {}
    for target in [targets] if isinstance(targets, str | Claim) else targets:
        if isinstance(target, Claim):
            given[target.id] = target
            continue
        found = {
            claim.id
            for claim in claims.values()
            if claim.id == target or claim.study == target
        } or {name for name in claims if name.startswith(target) and target}
        if not found:
            raise _unknown(target, claims)
        wanted |= found
    named = [c for name, c in claims.items() if name in wanted and name not in given]
    return [*named, *given.values()]


def _unknown(target: str, claims: dict[str, Claim]) -> InputError:
    studies = sorted({claim.study for claim in claims.values()})
    names = [*claims, *studies]
    close = difflib.get_close_matches(target, names, n=3, cutoff=0.5)
    if not close:
        # A bare name without its source is the commonest slip.
        tails = {name.rpartition("/")[2]: name for name in names}
        close = [
            tails[tail]
            for tail in difflib.get_close_matches(
                target.rpartition("/")[2], tails, n=3, cutoff=0.4
            )
        ]
    return InputError(
        f"claim {target!r}",
        f"the ledger has no claim, study or prefix of that name ({len(claims)} claims)",
        " or ".join(f"verify({name!r})" for name in close or studies),
    )


def catalogue() -> list[dict[str, str]]:
    """The ledger as plain data: id, statement, source, kind, expected, study."""
    return [
        {
            "id": claim.id,
            "statement": claim.statement,
            "source": str(claim.source),
            "kind": claim.kind,
            "expected": claim.expected,
            "study": claim.study,
        }
        for claim in ledger().values()
    ]
