"""One run of an experiment as pure functions, and how two of them are compared."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias.experiments.experiment import Experiment, Outcome, abstract, in_one_piece

_TRACED = (
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.ConcretizationTypeError,
)
Point = Mapping[str, Array]


class ContractError(AssertionError):
    """Raised when an experiment does not keep its contract.

    Args:
        kept_not: the property.
        where: the member or field that breaks it.
        why: what was found.
        fix: what would keep it.
    """

    def __init__(self, kept_not: str, where: str, why: str, fix: str):
        super().__init__(f"{kept_not}: {where} {why}. Try {fix}.")
        self.kept_not, self.where = kept_not, where


@dataclasses.dataclass(frozen=True)
class Walk:
    """An experiment as an engine compiles it: without what rides and without data.

    Attributes:
        template: the experiment, data sets as shapes.
        padded: the size of the arrays.
    """

    template: Experiment
    padded: int | None

    @classmethod
    def of(cls, experiment: Experiment, padded: int | None) -> "Walk":
        """The walk of an experiment."""
        return cls(abstract(experiment.template()), padded)

    def draw(self, key: Key[Array, ""], point: Point, shared: Any) -> Any:
        """The problem of a run."""
        with named("draw"):
            return self.template.draw(key, point, shared, self.padded)

    def start(self, problem: Any, shared: Any) -> Any:
        """The state at the start."""
        with named("start"):
            return self.template.start(problem, shared)

    def advance(
        self, problem: Any, state: Any, ends: tuple[Array, Array], shared: Any
    ) -> tuple[Any, Outcome]:
        """The state at the end of a segment."""
        with named("advance"):
            return self.template.advance(problem, state, ends, shared)

    def spans(self) -> tuple[Array, Array]:
        """From where and to where each segment goes."""
        ends = np.asarray(self.template.segments, np.int32)
        begins = np.concatenate([np.zeros(1, np.int32), ends[:-1]])
        return jnp.asarray(begins), jnp.asarray(ends)

    def whole(
        self,
        key: Key[Array, ""],
        point: Point,
        shared: Any,
        spans: tuple[Array, Array],
    ) -> tuple[Outcome, Any]:
        """The outcome with time first, and what is kept; as an engine runs it.

        The spans are an argument, so that a program holds none of them.
        """
        problem = self.draw(key, point, shared)
        if in_one_piece(self.template):
            return self._run(problem, shared)
        step = lambda state, ends: self.advance(problem, state, ends, shared)
        state, outcomes = jax.lax.scan(step, self.start(problem, shared), spans)
        last = jax.tree.map(lambda leaf: leaf[-1], outcomes)
        return self._ended(problem, state, last, outcomes.observables, shared)

    def bare(
        self, key: Key[Array, ""], point: Point, shared: Any
    ) -> tuple[Outcome, Any]:
        """The same with no transformation of JAX around any member."""
        problem = self.draw(key, point, shared)
        if in_one_piece(self.template):
            return self._run(problem, shared)
        state, outcomes = self.start(problem, shared), []
        for ends in zip(*self.spans(), strict=True):
            state, outcome = self.advance(problem, state, ends, shared)
            outcomes.append(outcome)
        seen = jax.tree.map(lambda *a: jnp.stack(a), *[o.observables for o in outcomes])
        return self._ended(problem, state, outcomes[-1], seen, shared)

    def _run(self, problem: Any, shared: Any) -> tuple[Outcome, Any]:
        with named("run"):
            return self.template.run(problem, shared)

    def _ended(
        self, problem: Any, state: Any, last: Outcome, seen: Any, shared: Any
    ) -> tuple[Outcome, Any]:
        with named("kept"):
            kept = self.template.kept(problem, state, shared)
        return last._replace(observables=seen), kept


@contextlib.contextmanager
def named(member: str) -> Iterator[None]:
    """Errors of what is traced there, under the member's name."""
    try:
        yield
    except _TRACED as error:
        said = str(error).splitlines()[0]
        raise ContractError(
            "purity",
            member,
            f"needs the value of an array that has none yet ({said})",
            "jax.numpy, jax.lax.cond and jax.lax loops in place of NumPy, if and for",
        ) from error


@contextlib.contextmanager
def with_shapes_alone() -> Iterator[None]:
    """Errors of data sets that are read where a program has only their shapes."""
    try:
        yield
    except TypeError as error:
        if "ShapeDtypeStruct" not in str(error):
            raise
        raise ContractError(
            "shared",
            "a data set",
            "is read off the experiment, of which a program has only shapes",
            "the data set that shared() returns, which every member is given",
        ) from error


def fields(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths."""
    leaves, _ = jax.tree.flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in leaves
    }


def differing(one: Any, other: Any, tolerance: float = 0.0) -> str | None:
    """The first field in which two trees differ by more than a share of its size.

    NaN is equal to NaN; with no tolerance bits count. Words tell by how much.
    """
    first, second = fields(one), fields(other)
    if first.keys() != second.keys():
        return f"{sorted(first.keys() ^ second.keys())} is in one of them alone,"
    for name, leaf in first.items():
        a, b = _host(leaf), _host(second[name])
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name} of {a.dtype}{a.shape} and {b.dtype}{b.shape}"
        if tolerance == 0.0 or a.dtype.kind not in "fc":
            if a.tobytes() != b.tobytes():
                return name
            continue
        known = np.isfinite(a) & np.isfinite(b)
        strange = np.where(known, 0.0, a), np.where(known, 0.0, b)
        if not np.array_equal(*strange, equal_nan=True):
            return f"{name}, not finite in one of them,"
        gap = np.max(np.abs(a - b), where=known, initial=0.0)
        size = np.max(np.abs(b), where=known, initial=0.0)
        if gap > tolerance * size:
            return f"{name}, by {gap / size:.1e} of its size,"
    return None


def _host(leaf: Any) -> np.ndarray:
    array = jnp.asarray(leaf)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = _draws.numbers_of(array)
    return np.asarray(array)


def constants(program: Any) -> Iterator[np.ndarray]:
    """Arrays that a traced program holds."""
    yield from (c for c in getattr(program, "consts", ()) if hasattr(c, "shape"))
    inner = getattr(program, "jaxpr", program)
    for equation in getattr(inner, "eqns", ()):
        for given in equation.invars:
            if hasattr(getattr(given, "val", None), "shape"):
                yield given.val
        for value in jax.tree.leaves(list(equation.params.values())):
            if hasattr(value, "eqns") or hasattr(value, "jaxpr"):
                yield from constants(value)
