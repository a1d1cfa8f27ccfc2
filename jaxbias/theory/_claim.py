"""A claim: plain data and pure functions, from source to acceptance."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from jaxbias._checks import InputError, one_of
from jaxbias.theory._verdict import HYPOTHESES, VERDICTS, Finding

Setting = Mapping[str, Any]
Prediction = Mapping[str, Any]
Arrays = Mapping[str, Any]

PROVENANCES = ("seen", "derived", "reconstructed", "recalled", "reported figure")
KINDS = (
    "identity",
    "closed form",
    "inequality",
    "certified interval",
    "probability",
    "exponent",
    "search",
)
GRADES = (
    "false as printed",
    "proof gap, conclusion open",
    "misprint, order unaffected",
    "released code, unused by the paper",
    "our inference",
)
CONVENTIONS = (
    "clock",
    "loss_scale",
    "norm",
    "tie",
    "readout",
    "centre_norm",
    "noise_unit",
    "output_layer",
)


def conventions(**stated: str) -> dict[str, str | None]:
    """The eight conventions, ``None`` where the statement does not depend on one."""
    for name in stated:
        one_of("convention", name, CONVENTIONS)
    return {name: stated.get(name) for name in CONVENTIONS}


class Source(NamedTuple):
    """Where a statement stands: bibliography key, place, version read."""

    key: str
    place: str
    version: str = ""

    def __str__(self) -> str:
        return ", ".join(part for part in self if part)


class Hypothesis(NamedTuple):
    """One hypothesis at one setting; a margin below zero says by how much it fails."""

    name: str
    status: Literal["met", "unmet", "unverifiable"]
    margin: float | None = None


def requires(name: str, margin: float) -> Hypothesis:
    """A hypothesis met iff its margin is nonnegative."""
    return Hypothesis(name, "met" if margin >= 0 else "unmet", float(margin))


def weigh(hypotheses: tuple[Hypothesis, ...]) -> str:
    """Met if all are; unmet if one is; unverifiable otherwise."""
    states = {h.status for h in hypotheses}
    return next((s for s in ("unmet", "unverifiable") if s in states), HYPOTHESES[0])


class Remainder(NamedTuple):
    """The declared tolerance: ``delta`` (absolute) and why it is that large."""

    delta: Any
    derivation: str


@dataclass(frozen=True)
class Computation:
    """Evidence without training: a registered computation and its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """Evidence by gradient flow, as plain data.

    Attributes:
        data: keywords of `OrthonormalClusters`.
        network: ``width``, ``exponent`` and ``scale`` of the balanced initialisation.
        samples: training samples in all.
        loss: name of the loss.
        clock: ``sum``, ``mean`` or ``per_cluster_mean``.
        times: save times in that clock.
        observe: names of observables.
        radius_at: where radii are measured, or ``None``.
        seeds: number of seeds.
        tolerance: of the first of three runs; the last one has a ninth of it.
    """

    data: Mapping[str, Any]
    network: Mapping[str, Any]
    samples: int
    loss: str
    clock: str
    times: tuple[float, ...]
    observe: tuple[str, ...]
    radius_at: str | None = None
    seeds: int = 16
    tolerance: float = 2e-4


class Decoy(NamedTuple):
    """A wrong prediction the evidence must refuse."""

    name: str
    alter: Callable[[Setting, Prediction], Prediction]


def scaled(factor: float, key: str = "value") -> Decoy:
    """The prediction with one number multiplied."""
    return Decoy(f"{key} x {factor:g}", lambda _, p: {**p, key: factor * p[key]})


@dataclass(frozen=True)
class Claim:
    """One statement of the theory with everything needed to judge it.

    Attributes:
        id: ``source-key/name``; ``jaxbias/...`` where the statement was derived here.
        statement: one or two sentences in our own words, with the formula.
        source: where it stands.
        provenance: one of ``PROVENANCES``.
        kind: one of ``KINDS``.
        quantifier: over what it speaks, in words.
        conventions: see `conventions`.
        setting: the numbers it is checked at.
        hypotheses: hypotheses at a setting, with margins.
        predict: closed form or bound; ``{"vacuous": True}`` ends the matter.
        remainder: declared tolerance with its derivation.
        evidence: what to compute or train, as data, for a size.
        judge: ``(arrays, prediction, remainder, alpha) -> Finding``.
        expected: the verdict its theory row leads one to expect.
        decoys: at least two wrong predictions that must be refused.
        stochastic: whether chance enters, so that multiplicity counts it.
        second: the second key of a violation: other evidence for the same number.
        grade: of a slip, one of ``GRADES``.
        repaired_by: ids of the statements that hold instead.
        family: claims of one family share their evidence, hence their root of seeds.
        edition: raised when a setting or a tolerance is changed after a look at the
            verdict, so that the seeds are drawn from a root not run before.
        study: the study it belongs to.
        on_request: checked only when it, a prefix or its study is named, since it
            needs a data set or many minutes.
    """

    id: str
    statement: str
    source: Source
    provenance: str
    kind: str
    quantifier: str
    conventions: Mapping[str, str | None]
    setting: Setting
    hypotheses: Callable[[Setting], tuple[Hypothesis, ...]]
    predict: Callable[[Setting], Prediction]
    remainder: Callable[[Setting], Remainder]
    evidence: Callable[[Setting, str], Computation | Training]
    judge: Callable[..., Finding]
    expected: str
    decoys: tuple[Decoy, ...]
    stochastic: bool = False
    second: Callable[[Setting, str], Computation | Training] | None = None
    grade: str | None = None
    repaired_by: tuple[str, ...] = ()
    family: str | None = None
    edition: int = 1
    study: str = "neuron_alignment"
    on_request: bool = False

    def __post_init__(self):
        one_of("provenance", self.provenance, PROVENANCES)
        one_of("kind", self.kind, KINDS)
        one_of("expected", self.expected, VERDICTS)
        if self.grade is not None:
            one_of("grade", self.grade, GRADES)
        if len(self.decoys) < 2:
            raise InputError(
                f"{self.id} with {len(self.decoys)} decoys",
                "a claim that no wrong prediction can fail says nothing",
                "two decoys",
            )
        if self.expected == "violated" and not (
            self.provenance == "seen" and self.repaired_by and self.second
        ):
            raise InputError(
                f"{self.id} expected violated",
                "that needs a statement seen, a repaired twin and a second key",
                "provenance='seen', repaired_by=(...), second=...",
            )


def no_hypotheses(_: Setting) -> tuple[Hypothesis, ...]:
    """For statements without hypotheses beyond the construction itself."""
    return ()
