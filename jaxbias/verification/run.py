"""From claim to verdict: evidence, judgement, second key, teeth, row."""

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jaxbias._checks import InputError, one_of, positive_int
from jaxbias.results import spec_hash
from jaxbias.theory._claim import Claim, Hypothesis, Remainder, Training, weigh
from jaxbias.theory._verdict import Finding, confirms, decide, remark
from jaxbias.theory.statistics import LEDGER_RELEASE
from jaxbias.verification.evidence import (
    Evidence,
    check_conventions,
    execute,
)
from jaxbias.verification.registry import level, select

SIZES = ("quick", "paper", "full")
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Verdict:
    """One row of the ledger after it was checked.

    Attributes:
        claim: the claim.
        verdict: holds, not refuted, violated, not applicable, vacuous, inconclusive.
        hypotheses: each with status and margin.
        finding: what the evidence said; ``None`` where the claim is vacuous.
        alpha: the level of a stochastic conclusion.
        seeds: independent draws or runs.
        failed: runs that did not finish.
        seed_root: root of the seeds, a hash of claim (or family) and release.
        seconds: wall time, shared evidence counted once.
        remainder: declared tolerance and its derivation.
        teeth: whether every decoy was refused; ``None`` where it was not tried.
        decoys: verdict on each decoy.
    """

    claim: Claim
    verdict: str
    hypotheses: tuple[Hypothesis, ...]
    finding: Finding | None
    alpha: float | None
    seeds: int
    failed: int
    seed_root: int
    seconds: float
    remainder: Remainder | None = None
    teeth: bool | None = None
    decoys: tuple[tuple[str, str], ...] = ()

    @property
    def expected(self) -> str:
        """The verdict its theory row leads one to expect."""
        return self.claim.expected

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the expected one and no decoy passed."""
        return self.verdict == self.expected and self.teeth is not False

    @property
    def worst(self) -> int:
        """Index of the case nearest to failing, or failing most."""
        if self.finding is None:
            return 0
        low, high = self.finding.interval.T
        below, above = self.finding.acceptance.T
        with np.errstate(invalid="ignore"):
            slack = np.minimum(low - below, above - high)
        return int(np.argmin(np.where(np.isnan(slack), -np.inf, slack)))

    def row(self) -> dict[str, Any]:
        """The row as plain data: what ``verify --json`` prints."""
        claim, finding = self.claim, self.finding
        weighed = weigh(self.hypotheses)
        conclusion = remark(weighed, finding.conclusion) if finding else None
        get = lambda name: _plain(getattr(finding, name)) if finding else None
        return {
            "claim": claim.id,
            "source": str(claim.source),
            "kind": claim.kind,
            "quantifier": claim.quantifier,
            "provenance": claim.provenance,
            "hypotheses": {
                "status": weighed,
                "each": [_plain(h._asdict()) for h in self.hypotheses],
            },
            "conclusion": conclusion,
            "verdict": self.verdict,
            "expected": self.expected,
            "measured": get("measured"),
            "predicted": get("predicted"),
            "interval": get("interval"),
            "acceptance": get("acceptance"),
            "numerical_error": get("numerical_error"),
            "alpha": self.alpha,
            "seeds": self.seeds,
            "failed": self.failed,
            "resolution": get("resolution"),
            "detectable": get("detectable"),
            "implied_constant": get("implied_constant"),
            "conventions": dict(claim.conventions),
            "witness": get("witness"),
            "seed_root": self.seed_root,
            "seconds": round(self.seconds, 3),
            "as_expected": self.as_expected,
            "teeth": self.teeth,
        }


def seed_root(claim: Claim) -> int:
    """Root of a claim's seeds: a hash of its id (or family), edition and release."""
    text = f"{claim.family or claim.id}@{LEDGER_RELEASE}"
    if claim.edition > 1:
        text += f"#{claim.edition}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def verify(
    targets: str | Claim | Iterable[str | Claim] | None = None,
    *,
    size: str = "quick",
    seeds: int | None = None,
    teeth: bool = False,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Check claims of the ledger and return one verdict each.

    Args:
        targets: a full id, a study, a prefix of an id, a claim of one's own, several
            of them, or None for the whole ledger.
        size: ``quick``, ``paper`` or ``full``: how much evidence.
        seeds: number of seeds of claims that train networks; None for their own. The
            evidence of other claims has no such number: where some of those chosen
            are of that kind a warning says how many.
        teeth: also require that every decoy is refused.
        progress: called as ``progress(done, total, claim_id)`` before each claim.

    Raises:
        InputError: unknown target or size, evidence under other conventions, or
            ``seeds`` for claims none of which trains networks.

    Example:
        >>> [verdict] = verify("min-vidal-2024/radius-at-centre-averaged")
        >>> verdict.verdict
        'holds'
    """
    one_of("size", size, SIZES)
    chosen = select(targets)
    if seeds is not None:
        positive_int("seeds", seeds)
        _say_who_takes_seeds(chosen, size, seeds)
    shared: dict[str, Evidence] = {}
    verdicts = []
    for done, claim in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen), claim.id)
        verdicts.append(_check(claim, size, seeds, teeth, shared))
    return verdicts


def _say_who_takes_seeds(chosen: list[Claim], size: str, seeds: int) -> None:
    others = [claim for claim in chosen if not _trains(claim, size)]
    if chosen and len(others) == len(chosen):
        which = chosen[0].id if len(chosen) == 1 else f"{len(chosen)} claims"
        raise InputError(
            f"seeds={seeds} for {which}",
            "only a claim that trains networks has seeds to choose the number of",
            "the same without seeds, or size='paper' for more evidence",
        )
    if others:
        warnings.warn(
            f"seeds={seeds} has no effect on {len(others)} of the {len(chosen)} claims"
            " chosen: they train no networks",
            stacklevel=3,
        )


def _trains(claim: Claim, size: str) -> bool:
    if claim.predict(claim.setting).get("vacuous"):
        return False
    return isinstance(claim.evidence(claim.setting, size), Training)


def _check(claim: Claim, size: str, seeds, teeth: bool, shared: dict) -> Verdict:
    began = time.perf_counter()
    setting, root = claim.setting, seed_root(claim)
    hypotheses = claim.hypotheses(setting)
    prediction = claim.predict(setting)
    alpha = level()
    blank = Verdict(
        claim, "vacuous", hypotheses, None, None, 0, 0, root, 0.0, teeth=None
    )
    if prediction.get("vacuous"):
        return replace(blank, seconds=time.perf_counter() - began)
    remainder = claim.remainder(setting)
    evidence = _gather(claim, claim.evidence(setting, size), seeds, root, shared)
    finding = claim.judge(evidence.arrays, prediction, remainder, alpha)
    second_key = False
    if finding.conclusion == "false" and claim.second is not None:
        again = _gather(claim, claim.second(setting, size), seeds, root, shared)
        repeat = claim.judge(again.arrays, prediction, remainder, alpha)
        second_key = confirms(finding, repeat)
    weighed = weigh(hypotheses)
    verdict = decide(
        weighed,
        finding.conclusion,
        sampled=finding.sampled,
        second_key=second_key,
    )
    decoys = []
    for decoy in claim.decoys if teeth else ():
        wrong = claim.judge(
            evidence.arrays, decoy.alter(setting, prediction), remainder, alpha
        )
        passed = decide(weighed, wrong.conclusion, sampled=wrong.sampled)
        decoys.append((decoy.name, passed))
    return replace(
        blank,
        verdict=verdict,
        finding=finding,
        alpha=alpha if claim.stochastic else None,
        seeds=evidence.seeds,
        failed=evidence.failed,
        seconds=time.perf_counter() - began,
        remainder=remainder,
        teeth=_refused(decoys) if teeth else None,
        decoys=tuple(decoys),
    )


def _refused(decoys: list[tuple[str, str]]) -> bool:
    """No wrong prediction may hold, nor go unrefuted."""
    return all(found not in ("holds", "not refuted") for _, found in decoys)


def _gather(claim: Claim, request, seeds, root: int, shared: dict) -> Evidence:
    if seeds is not None and isinstance(request, Training):
        request = replace(request, seeds=seeds)
    # The repr of a long array leaves out its middle; the hash reads every entry.
    key = f"{root}:{spec_hash(request)}"
    if key not in shared:
        shared[key] = execute(request, root)
    check_conventions(claim, shared[key])
    return shared[key]


def _plain(value: Any) -> Any:
    """JSON-ready: lists for arrays (a number if there is one), None for no number."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return items[0] if len(items) == 1 else items
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
