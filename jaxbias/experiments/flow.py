"""Gradient flows as an experiment: seeds, widths, noises and scales in one program."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxbias._axes import TIME
from jaxbias._checks import one_of
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset
from jaxbias.data.mixtures import ClusterMixture
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.fixed_step import FixedStep
from jaxbias.dynamics.flow import GradientFlow, Problem, cast
from jaxbias.dynamics.schedule import checked, logarithmic
from jaxbias.dynamics.solve import solve
from jaxbias.experiments.experiment import Column, Experiment, Outcome, Work
from jaxbias.experiments.flow_costs import evaluations, flow_work
from jaxbias.networks.activations import Activation
from jaxbias.networks.initialization import representable_scale
from jaxbias.networks.weights import Weights
from jaxbias.observables import REGISTRY, Observable, resolve

WIDTH, SCALE = "flow.network.width", "flow.network.init.scale"
NOISE = "flow.data.noise"
# Both activations of the main experiments have aligned and fitted by then.
_FINAL = 500.0
FORMS = ("auto", "reduced", "raw")
# Statistics that have other names in the table, where an observable may have theirs.
LARGEST_BALANCE_ERROR = "largest_balance_error"
STATISTICS = {
    "evaluations": "evaluations of the right-hand side",
    "rejected": "rejected steps",
    "sliding": "share of pairs on an attractive kink, per accepted step",
    "repelling": "share of pairs on a repelling kink, per accepted step",
    "error_estimate": "relative error of outputs, from the local errors",
    LARGEST_BALANCE_ERROR: "relative error of the conservation law, at its worst",
}


class Trained(NamedTuple):
    """A trained network and the data of its run.

    Attributes:
        weights: at the end.
        dataset: what it was trained on.
    """

    weights: Weights
    dataset: Dataset


class OnFlow(Experiment):
    """Base of experiments on a gradient flow's problem, the field ``flow``.

    Its width, its scale and the noise of a data model ride.
    """

    flow: GradientFlow

    @property
    def batched(self) -> Mapping[str, Any]:
        """Width, scale, and the noise of a data model of the package."""
        riding: dict[str, Any] = {WIDTH: self.flow.network.groups}
        if isinstance(self.flow.data, OrthonormalClusters | ClusterMixture):
            riding[NOISE] = 1.0
        return riding | {SCALE: 1.0}

    @property
    def size(self) -> str:
        """The width."""
        return WIDTH

    @property
    def activation(self) -> Activation:
        """Of the networks."""
        return self.flow.network.activation

    def shared(self) -> Any:
        """A data set of one's own, in the precision of the runs."""
        data = self.flow.data
        return cast(data, self.dtype) if isinstance(data, Dataset) else ()

    def posed(
        self,
        key: Key[Array, ""],
        point: Mapping[str, Any],
        shared: Any,
        padded: int | None,
    ) -> Problem:
        """The flow as arrays; arguments as of :meth:`draw`."""
        return self.flow.problem(
            key,
            noise=point.get(NOISE),
            scale=point[SCALE],
            width=point[WIDTH],
            padded=padded,
            dtype=self.dtype,
            dataset=shared or None,
        )


@dataclasses.dataclass(frozen=True)
class Flow(OnFlow):
    """A gradient flow, observed at given times.

    Args:
        flow: network, data, loss and clock.
        times: increasing; the last one ends the run.
        observe: names of observables, or observables of one's own.
        integrator: with a tolerance or a step.
        form: ``auto``, ``reduced`` or ``raw``.
        dtype: ``float64`` or ``float32``.
        count_kinks: whether meetings with the kink are counted.

    Raises:
        InputError: for times that do not increase, unknown names, and a scale that
            underflows.
    """

    flow: GradientFlow
    times: tuple[float, ...]
    observe: tuple[str | Observable, ...] = ("loss", "minimum_margin")
    integrator: Adaptive | FixedStep = dataclasses.field(default_factory=Adaptive)
    form: str = "auto"
    dtype: str = "float64"
    count_kinks: bool = True

    @classmethod
    def of(
        cls,
        flow: GradientFlow,
        *,
        times: Any = None,
        observe: Iterable[str | Observable] | None = None,
        integrator: Adaptive | FixedStep | None = None,
        form: str | None = None,
        dtype: str | None = None,
    ) -> "Flow":
        """The experiment of a flow, with what is left out filled in.

        Without times there are 40 log-spaced ones up to 500.

        Raises:
            InputError: as the class, and for names that are one bare string.
        """
        chosen: dict[str, Any] = {
            "integrator": integrator,
            "form": form,
            "dtype": dtype,
        }
        chosen = {name: value for name, value in chosen.items() if value is not None}
        if observe is not None:
            own = resolve(observe).values()
            # By name where that says it all: then a manifest can, too.
            chosen["observe"] = tuple(
                o.name if REGISTRY.get(o.name) is o else o for o in own
            )
        times = checked(logarithmic(_FINAL) if times is None else times)
        return cls(flow, tuple(map(float, times)), **chosen)

    def __post_init__(self):
        one_of("dtype", self.dtype, ("float64", "float32"))
        one_of("form", self.form, FORMS)
        checked(self.times)
        resolve(self.observe)
        representable_scale(self.flow.network.init.scale, self.dtype)

    def draw(
        self,
        key: Key[Array, ""],
        point: Mapping[str, Any],
        shared: Any,
        padded: int | None,
    ) -> tuple[Problem, Array]:
        """The flow as arrays, and the factor of its tolerance."""
        problem = self.posed(key, point, shared, padded)
        return problem, jnp.asarray(point["factor"], self.dtype)

    def run(
        self, problem: tuple[Problem, Array], shared: Any
    ) -> tuple[Outcome, Trained]:
        """Observables at all times, and the network at the last."""
        drawn, factor = problem
        integrator = self.integrator
        if isinstance(integrator, Adaptive):
            degree = self.flow.network.activation.degree
            rtol = integrator.tolerance(degree, self.flow.loss) * factor
            integrator = eqx.tree_at(
                lambda i: i.rtol, integrator, rtol, is_leaf=lambda x: x is None
            )
        functions = {name: o.function for name, o in resolve(self.observe).items()}
        done = solve(
            drawn,
            self.times,
            functions,
            integrator,
            self.form,
            count_kinks=self.count_kinks,
        )
        found = dict(done.statistics)
        found[LARGEST_BALANCE_ERROR] = found.pop("balance_error")
        statistics = {name: found[name] for name in STATISTICS}
        outcome = Outcome(dict(done.observables), done.status, statistics)
        return outcome, Trained(done.final, drawn.dataset)

    def columns(self) -> Mapping[str, Column]:
        """Observables over time, and what the integrator says of itself."""
        seen = {
            name: Column((TIME, *o.axes), o.description, o.unit or "1")
            for name, o in resolve(self.observe).items()
        }
        return seen | {name: Column((), about) for name, about in STATISTICS.items()}

    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The times."""
        return {TIME: np.asarray(self.times)}

    def work(self, padded: int | None) -> Work:
        """Of one run, by its sizes and its tolerance."""
        padded = self.flow.network.width if padded is None else padded
        calls = evaluations(self.integrator, self.times, self.flow)
        return flow_work(self.flow, padded, self.dtype, calls)

    def at_factor(self, factor: float) -> "Flow | None":
        """A tolerance rides; a fixed step decides how many steps there are."""
        if isinstance(self.integrator, Adaptive):
            return None
        method, step = self.integrator.method, self.integrator.step
        finer = FixedStep(method, float(step) * float(factor))
        return dataclasses.replace(self, integrator=finer)
