"""What the suite asks of a workload."""

import abc
from typing import Any

import numpy as np


class Workload(abc.ABC):
    """What the methods of a benchmark solve, and how their answers are judged.

    Attributes:
        name: a key of ``BENCHMARKS``.
        seeds: how many are solved together.
        target: error above which a ratio of ours is not a fair one.
        baseline_target: the baselines'.
        rules: of equal error, each by its letter; empty where quality is compared.
        loss_target: share by which the loss may be off at a saved time, where a rule
            asks for it.
        tuning_seeds: those on which settings are chosen.
        seeds_measured: those on which ratios are measured.
        references: solutions that errors are told by, each with how it is made ready
            and its seeds: ``tuning``, ``measured``, and ``looser``, which tells the
            error of ``measured``. Without any, baselines are held against ours.
    """

    name: str
    seeds: int
    target: float
    baseline_target: float
    rules: tuple[str, ...]
    loss_target: float
    tuning_seeds: tuple[int, ...]
    seeds_measured: tuple[int, ...]
    references: dict[str, tuple[str, tuple[int, ...]]]

    @abc.abstractmethod
    def problems(self, seeds: tuple[int, ...], dtype: str) -> Any:
        """The data of these seeds, which no method is charged for."""

    @abc.abstractmethod
    def outputs(self, seeds: tuple[int, ...], solution: Any) -> np.ndarray:
        """The numbers that a method's solution is judged by."""

    @abc.abstractmethod
    def error(self, outputs: np.ndarray, reference: np.ndarray) -> float:
        """How far outputs are from the reference; infinite where they are nothing."""

    @abc.abstractmethod
    def loss_error(self, losses: np.ndarray, reference: np.ndarray) -> float:
        """How far losses (seed, time) are from the reference at the worst time."""

    @abc.abstractmethod
    def own_error(self, ours: np.ndarray, theirs: np.ndarray, reference: Any) -> float:
        """The error of ours beside one baseline."""

    @abc.abstractmethod
    def remark(self, outputs: np.ndarray) -> str:
        """What an error does not say of a baseline's outputs."""
