"""Whether an experiment keeps its contract, so that a sweep may run it."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxbias._checks import InputError, at_least, positive_int
from jaxbias.experiments.contract_runs import Bench, columns, company, padding, purity
from jaxbias.experiments.contract_segments import idle, kill, one_trace
from jaxbias.experiments.experiment import Experiment, data_sets, in_one_piece
from jaxbias.experiments.fields import get_at
from jaxbias.experiments.walk import ContractError, with_shapes_alone
from jaxbias.results.specs import spec_from_json, spec_to_json

_TOLERANCE = {"float32": 1e-3, "float64": 1e-8}


def check(
    experiment: Any, seeds: int = 3, *, tolerance: float | None = None
) -> tuple[str, ...]:
    """Test the contract of an experiment by running it.

    Args:
        experiment: a small one: it is run about twenty times.
        seeds: runs of each kind.
        tolerance: by which share of its size a number may differ between programs; by
            default 1e-3 in float32 and 1e-8 in float64, where rounding grows little.

    Returns:
        The properties that were tested, all of which hold.

    Raises:
        InputError: what was given is no experiment, or a field cannot work.
        ContractError: (an ``AssertionError``) a property does not hold, with the member
            or the field that breaks it.

    Example:
        >>> import jaxbias as jb
        >>> from jaxbias.experiments import Descend, check
        >>> clusters = jb.data.OrthonormalClusters(
        ...     dim=8, clusters=2, positive=1, noise=0.1)
        >>> flow = jb.dynamics.GradientFlow(jb.networks.TwoLayer(4), clusters, 4)
        >>> check(Descend(flow, jb.dynamics.Descent(0.1), (2, 3)), seeds=1)[0]
        'form'
    """
    positive_int("seeds", seeds)
    _form(experiment)
    _json(experiment)
    tolerance = _TOLERANCE[experiment.dtype] if tolerance is None else tolerance
    at_least("tolerance", tolerance, 0.0)
    passed = ["form", "json"]
    with jax.enable_x64(experiment.dtype == "float64"):
        bench = Bench.of(experiment, seeds, tolerance)
        tests = [] if in_one_piece(experiment) else [one_trace, idle, kill]
        tests += [purity, columns, company]
        if experiment.size is not None:
            tests.append(padding)
        for test in tests:
            with with_shapes_alone():
                test(bench)
            passed.append(test.__name__.replace("_", " "))
    return tuple(passed)


def _form(experiment: Any) -> None:
    """A frozen dataclass, with increasing segments and numbers that ride."""
    kind: Any = type(experiment)
    name = str(kind.__name__)
    if not isinstance(experiment, Experiment) or not dataclasses.is_dataclass(kind):
        raise InputError(
            f"experiment of type {name}",
            "it is no dataclass that derives from Experiment",
            "@dataclasses.dataclass(frozen=True) class Mine(Experiment)",
        )
    if not getattr(kind, "__dataclass_params__").frozen:  # noqa: B009
        raise ContractError(
            "form",
            name,
            "can be changed, so that no program can be kept for it",
            "@dataclasses.dataclass(frozen=True)",
        )
    if getattr(experiment, "dtype", None) not in _TOLERANCE:
        raise ContractError(
            "form", "dtype", "is no precision", "a field dtype: str = 'float64'"
        )
    segments = experiment.segments
    if not segments or any(b <= a for a, b in zip((0, *segments), segments)):  # noqa: B905
        raise ContractError(
            "form", "segments", f"{segments} do not increase from above 0", "(1, 2)"
        )
    for path in experiment.batched:
        value = get_at(experiment, path)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ContractError(
                "form", path, f"= {value!r} rides, but is no number", "a number"
            )


def _json(experiment: Experiment) -> None:
    """A JSON form, from which the same experiment is read where it can be."""
    text = spec_to_json(experiment)
    if data_sets(experiment):
        # They are told apart by a digest, and not rebuilt.
        return
    try:
        again = spec_from_json(text)
    except InputError:
        # Classes of other packages have a form, from which nothing is rebuilt.
        return
    if again != experiment or spec_to_json(again) != text:
        spec: Any = experiment
        names = [field.name for field in dataclasses.fields(spec)]
        changed = [n for n in names if getattr(again, n) != getattr(experiment, n)]
        raise ContractError(
            "json",
            ", ".join(changed) or "the experiment",
            "is another one when it is read back",
            "fields that equal what their JSON form makes, such as tuples and floats",
        )
