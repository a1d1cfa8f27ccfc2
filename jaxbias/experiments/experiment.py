r"""What an experiment is: a specification of which a sweep runs many instances.

A run draws a problem from its key and its point, starts a state, and advances it over
segments. All of that is pure and goes through `jit` and `vmap`: the fields in `batched`
differ between the runs of one program, everything else is compiled into it.

    key, point --draw--> problem --start--> state --advance--> state, outcome --> kept

An experiment of one piece gives `run` in place of `start` and `advance`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxbias._axes import CLUSTER, FEATURE, NEURON, SAMPLE
from jaxbias.data.dataset import Dataset
from jaxbias.experiments.fields import get_at, replace_at

WORDS = {NEURON: "width", SAMPLE: "samples", FEATURE: "dim", CLUSTER: "clusters"}
"""What the size along an axis is called among the fields of a specification."""


class Outcome(NamedTuple):
    """What a run says of itself.

    Attributes:
        observables: by name; of `run` with the leading axis time, of `advance` what
            holds at the end of its segment.
        status: a ``dynamics.Status``.
        statistics: one number each, by name; of the last segment, so far.
    """

    observables: dict[str, Array]
    status: Array
    statistics: dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Column:
    """A variable of the table.

    Attributes:
        axes: of one run, in order.
        description: one line.
        unit: or range.
    """

    axes: tuple[str, ...] = ()
    description: str = ""
    unit: str = "1"


@dataclasses.dataclass(frozen=True)
class Work:
    """What one run takes, about; a plan is laid out by it.

    Attributes:
        seconds: of one core.
        sizes: entries along each axis.
        problem_bytes: of what is drawn and returned, arrays alone.
        solve_bytes: of what is held beside that while it is solved.
        scores: numbers that an evaluation goes through; blocks of lanes are sized by
            them to stay in a core's cache. 0 for one lane at a time.
        order: seconds grow as the tolerance falls, by the power ``-1/order``.
    """

    seconds: float
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    problem_bytes: int = 0
    solve_bytes: int = 0
    scores: int = 0
    order: float = 1.0

    def at_factor(self, factor: float) -> float:
        """Seconds at this factor of the tolerance."""
        return self.seconds * factor ** (-1 / self.order)

    def shown(self) -> str:
        """The sizes as a call would set them."""
        named = (f"{WORDS.get(axis, axis)}={n}" for axis, n in self.sizes.items())
        return ", ".join(named)


class Experiment:
    """Base of all experiments, which are frozen dataclasses.

    Fields are numbers, strings, tuples, frozen dataclasses, data sets and functions of
    a module. A subclass has a field ``dtype`` and says what each member below is for
    it; members that are not needed keep what stands here.
    """

    dtype: str

    @property
    def batched(self) -> Mapping[str, Any]:
        """Dotted fields that ride in the vmap, with what stands for them in a program.

        The seed always rides.
        """
        return {}

    @property
    def size(self) -> str | None:
        """The batched field that is the size of an array, which is padded, if any."""
        return None

    @property
    def segments(self) -> tuple[int, ...]:
        """Where segments end, increasing: steps, epochs or rounds from the start."""
        return (1,)

    def shared(self) -> Any:
        """Arrays common to all runs: a data set. Never captured by a program."""
        return ()

    def draw(
        self,
        key: Key[Array, ""],
        point: Mapping[str, Any],
        shared: Any,
        padded: int | None,
    ) -> Any:
        """The problem of a run: all that its key and its point decide, as arrays.

        Args:
            key: the run's own; entry i of a draw comes from ``fold_in(key, i)``.
            point: values of the batched fields, of ``"factor"``, by which a tolerance
                is to be multiplied, and of ``"seed"``, from which experiments with
                keys of their own fold them.
            shared: what `shared` gave.
            padded: entries of the arrays along `size`; those beyond it are inert.
        """
        raise NotImplementedError

    def start(self, problem: Any, shared: Any) -> Any:
        """The state at the start: everything that a segment hands to the next."""
        raise NotImplementedError

    def advance(
        self, problem: Any, state: Any, ends: tuple[Array, Array], shared: Any
    ) -> tuple[Any, Outcome]:
        """The state and the outcome at the end of a segment.

        Args:
            problem: of the run.
            state: at the beginning of the segment.
            ends: from where to where it goes, traced, so that all segments are one
                program; equal ends leave the state as it is.
            shared: what `shared` gave.
        """
        raise NotImplementedError

    def run(self, problem: Any, shared: Any) -> tuple[Outcome, Any]:
        """The outcome and what is kept, of experiments of one piece."""
        raise NotImplementedError

    def kept(self, problem: Any, state: Any, shared: Any) -> Any:
        """What measurements may ask for."""
        return state

    def between(self, state: Any, outcome: Outcome, segment: int) -> Any:
        """The state with which the next segment begins, of one run, on the host."""
        return state

    def columns(self) -> Mapping[str, Column]:
        """The variables of the table: every observable and statistic."""
        raise NotImplementedError

    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Coordinates of axes that all runs share."""
        return {}

    def work(self, padded: int | None) -> Work:
        """What a run takes whose arrays have this size."""
        return Work(1.0)

    def at_factor(self, factor: float) -> "Experiment | None":
        """The experiment at a factor of its tolerance; None where it rides."""
        return None

    def template(self) -> "Experiment":
        """The experiment without what rides: equal for the runs of one program."""
        found = self
        for path, stand_in in self.batched.items():
            found = replace_at(found, path, stand_in)
        return found


def in_one_piece(experiment: Experiment) -> bool:
    """Whether an experiment has no segments, but `run`."""
    return type(experiment).run is not Experiment.run


def point_of(experiment: Experiment) -> tuple[float | int, ...]:
    """Values of the batched fields, in their order."""
    return tuple(get_at(experiment, path) for path in experiment.batched)


def abstract(spec: Any) -> Any:
    """The specification with shapes in place of data sets, which programs do not hold.

    Two that are equal have one program.
    """
    if isinstance(spec, Dataset):
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), spec)
    if not dataclasses.is_dataclass(spec) or isinstance(spec, type):
        return spec
    values = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
    changed = {name: abstract(value) for name, value in values.items()}
    if all(changed[name] is value for name, value in values.items()):
        return spec
    # Not through __init__, which would look into the arrays.
    copy = object.__new__(type(spec))
    for name, value in changed.items():
        object.__setattr__(copy, name, value)
    return copy


def data_sets(spec: Any) -> tuple[int, ...]:
    """Identities of the data sets in a specification: what its program is given."""
    if isinstance(spec, Dataset):
        return (id(spec),)
    if not dataclasses.is_dataclass(spec) or isinstance(spec, type):
        return ()
    values = (getattr(spec, field.name) for field in dataclasses.fields(spec))
    return tuple(number for value in values for number in data_sets(value))
