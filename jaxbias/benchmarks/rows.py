"""What is measured: a tried setting, and one ratio with all that belongs to it.

Errors are the worst of all rounds; of flows those of a run that is not timed.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jaxbias.benchmarks.interface import Workload
from jaxbias.benchmarks.worker import Run

FINISHED, ABOVE = "finished", "baseline above target"
OURS_ABOVE = "ours above target"
UNFINISHED = "baseline did not finish"


@dataclass(frozen=True)
class Point:
    """A method in one setting, on the tuning seeds.

    Attributes:
        name: the workload.
        method: ``ours`` or a baseline.
        setting: its parameters, in words.
        seconds: CPU seconds of one core for all seeds.
        error: as the workload measures it.
        evaluations: full-batch gradients a seed.
        loss_error: share by which the loss is off, at the worst saved time.
    """

    name: str
    method: str
    setting: str
    seconds: float
    error: float
    evaluations: float
    loss_error: float


@dataclass(frozen=True)
class Row:
    """One ratio. ``None`` where nothing was measured; ``status`` says why.

    Attributes:
        name: the workload.
        baseline: what ours is compared with.
        ratio: baseline time over ours, median over rounds.
        ratio_low: the least of the rounds.
        ratio_high: the largest.
        error: ours; of flows the worst seed's, of radii the largest excess.
        baseline_error: the baseline's; of radii its median overestimate.
        seconds: CPU seconds of ours for all seeds, median.
        baseline_seconds: the baseline's.
        status: ``finished``, or what keeps the ratio from being a fair one.
        setting: ours, in words.
        baseline_setting: the baseline's, and what its error does not say.
        evaluations: full-batch gradients a seed, where they are counted.
        baseline_evaluations: the baseline's.
        compile_cold: seconds of tracing and compiling.
        compile_warm: the same from the persistent cache.
        baseline_compile_cold: the baseline's.
        baseline_compile_warm: the baseline's.
        peak_megabytes: memory above what libraries and data hold, compiling included.
        baseline_peak_megabytes: the baseline's.
        seeds: how many were solved.
        rounds: how often each was run.
        reference_error: of the reference solution, from one three times looser; none
            where the baseline is held against ours.
        rule: of equal error, ``a`` or ``b``; none where quality is compared.
        loss_error: share by which our loss is off at the worst saved time, any seed.
        baseline_loss_error: the baseline's.
        reference_loss_error: the reference's, as its error is told.
    """

    name: str
    baseline: str
    status: str
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    error: float | None = None
    baseline_error: float | None = None
    seconds: float | None = None
    baseline_seconds: float | None = None
    setting: str | None = None
    baseline_setting: str | None = None
    evaluations: float | None = None
    baseline_evaluations: float | None = None
    compile_cold: float | None = None
    compile_warm: float | None = None
    baseline_compile_cold: float | None = None
    baseline_compile_warm: float | None = None
    peak_megabytes: float | None = None
    baseline_peak_megabytes: float | None = None
    seeds: int = 0
    rounds: int = 0
    reference_error: float | None = None
    rule: str | None = None
    loss_error: float | None = None
    baseline_loss_error: float | None = None
    reference_loss_error: float | None = None

    def plain(self) -> dict[str, Any]:
        """The row as ``bench --json`` prints it; no number where it is not finite."""
        wild = lambda x: isinstance(x, float) and not math.isfinite(x)
        return {k: None if wild(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Measured:
    """All rounds of one method on the measured seeds, and fresh processes of it.

    ``recorded`` is a run of all the work with its losses, where there are any: what
    errors are told by.
    """

    runs: list[Run]
    setting: dict
    recorded: Run | None
    compile_cold: float
    compile_warm: float
    peak: float

    @property
    def seconds(self) -> float:
        """Median CPU seconds."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def judged(self) -> list[Run]:
        """The runs that errors are told by."""
        return self.runs if self.recorded is None else [self.recorded]


def words(setting: dict) -> str:
    """A setting as text."""
    return ", ".join(
        value if isinstance(value, str) else f"{name} {value:g}"
        for name, value in setting.items()
    )


def missed(load: Workload, rule: str | None, error: float, loss_error: float) -> float:
    """The share of its target that the worse error comes to; at most 1 meets the rule.

    Rule a does not ask for the loss.
    """
    shares = [error / load.baseline_target]
    if rule == "b":
        shares.append(loss_error / load.loss_target)
    return max(shares)


def compare(
    load: Workload,
    rule: str | None,
    baseline: str,
    ours: Measured,
    theirs: Measured,
    references: Mapping[str, Run],
) -> Row:
    """The row of one baseline: ratios round by round, errors, compiling, memory."""
    error, baseline_error = _errors(load, ours, theirs, references)
    loss_error, baseline_loss_error = (
        _loss_error(load, one, references) for one in (ours, theirs)
    )
    last = theirs.runs[-1]
    notes = last.scaled, load.remark(theirs.judged[-1].outputs)
    baseline_setting = "; ".join(filter(None, (words(theirs.setting), *notes)))
    found = math.isfinite(baseline_error)
    status = FINISHED if found else UNFINISHED
    if found and missed(load, rule, baseline_error, baseline_loss_error or 0.0) > 1:
        status = ABOVE
    loss_missed = rule == "b" and (loss_error or 0.0) > load.loss_target
    if error > load.target or loss_missed:
        status = OURS_ABOVE
    if not found:
        return Row(
            load.name, baseline, status, baseline_setting=baseline_setting, rule=rule
        )
    pairs = zip(ours.runs, theirs.runs, strict=True)
    ratios = [slow.seconds / fast.seconds for fast, slow in pairs]
    doubt = loss_doubt = None
    if "looser" in references:
        looser, tight = references["looser"], references["measured"]
        doubt = load.error(looser.outputs, tight.outputs)
        loss_doubt = load.loss_error(looser.losses, tight.losses)
    return Row(
        load.name,
        baseline,
        status,
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
        error=error,
        baseline_error=baseline_error,
        seconds=ours.seconds,
        baseline_seconds=theirs.seconds,
        setting=words(ours.setting),
        baseline_setting=baseline_setting,
        evaluations=ours.runs[-1].evaluations,
        baseline_evaluations=theirs.runs[-1].evaluations,
        compile_cold=ours.compile_cold,
        compile_warm=ours.compile_warm,
        baseline_compile_cold=theirs.compile_cold,
        baseline_compile_warm=theirs.compile_warm,
        peak_megabytes=ours.peak,
        baseline_peak_megabytes=theirs.peak,
        seeds=load.seeds,
        rounds=len(ours.runs),
        reference_error=doubt,
        rule=rule,
        loss_error=loss_error,
        baseline_loss_error=baseline_loss_error,
        reference_loss_error=loss_doubt,
    )


def _errors(
    load: Workload, ours: Measured, theirs: Measured, references: Mapping[str, Run]
) -> tuple[float, float]:
    reference = references["measured"].outputs if references else None
    own, other = [], []
    for mine, yours in zip(ours.judged, theirs.judged, strict=True):
        against = mine.outputs if reference is None else reference
        error = load.own_error(mine.outputs, yours.outputs, reference)
        own.append(error if mine.finished else math.inf)
        error = load.error(yours.outputs, against)
        other.append(error if yours.finished else math.inf)
    return max(own), max(other)


def _loss_error(
    load: Workload, one: Measured, references: Mapping[str, Run]
) -> float | None:
    if one.recorded is None:
        return None
    if not one.recorded.finished:
        return math.inf
    return load.loss_error(one.recorded.losses, references["measured"].losses)
