"""Things of other packages by their names, so that a specification has a JSON form.

Nothing is imported when one is made or read from a file: a factory's package is when a
run builds the module, because whoever wrote the specification has named it.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import optax
from jaxtyping import Array, Key

from jaxbias import _draws
from jaxbias._checks import InputError, at_least, one_of, reason, told
from jaxbias.dynamics.fit import as_flax_does

Options = tuple[tuple[str, Any], ...]
_RATE = "learning_rate"


@dataclasses.dataclass(frozen=True, init=False)
class Module:
    """A flax module, made by a factory of some package.

    Args:
        factory: ``"package.module:name"``; it is called with the options and with
            ``rngs=``, or with ``key=`` if it takes that.
        options: of the factory: numbers, strings, tuples, functions of a module.

    Raises:
        InputError: for a factory of another form, and for options that no file can
            name.
    """

    factory: str
    options: Options = ()

    def __init__(self, factory: str, options: Any = (), **more: Any):
        package, _, name = factory.partition(":")
        if not (package and name):
            raise InputError(
                f"factory={factory!r}",
                "it is found by its module and its name there",
                "Module('mypackage.networks:ResNet', depth=18)",
            )
        object.__setattr__(self, "factory", factory)
        object.__setattr__(self, "options", _options(options, more))

    def build(self, key: Key[Array, ""]) -> Any:
        """The module whose weights the key draws.

        Raises:
            InputError: there is no such factory, or it takes neither rngs nor a key.
        """
        make = self._found()
        # The metaclass of flax hides what its classes take.
        called = make.__init__ if isinstance(make, type) else make
        parameters = inspect.signature(called).parameters
        any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if "rngs" in parameters or (any_name and "key" not in parameters):
            given: dict[str, Any] = {"rngs": _draws.rngs(key)}
        elif "key" in parameters:
            given = {"key": _draws.lent(key)}
        else:
            raise InputError(
                f"factory={self.factory!r} with the arguments {', '.join(parameters)}",
                "its weights are drawn from the key of the run",
                "a factory that takes rngs or key",
            )
        with as_flax_does():
            return make(**dict(self.options), **given)

    def _found(self) -> Callable[..., Any]:
        package, _, name = self.factory.partition(":")
        try:
            return getattr(importlib.import_module(package), name)
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"factory={self.factory!r}",
                f"it is not there ({reason(error)})",
                "a module that Python finds, and a name in it",
            ) from error


@dataclasses.dataclass(frozen=True, init=False)
class Schedule:
    """A schedule of optax: the factor of the rate, from 1, by the number of steps.

    Args:
        name: in optax, such as ``"cosine_decay_schedule"``.
        options: of optax's function; its first one is 1 if it is not given.

    Raises:
        InputError: for a name that is no schedule of optax, and options that it has
            not.
    """

    name: str
    options: Options = ()

    def __init__(self, name: str, options: Any = (), **more: Any):
        found = _in_optax("schedule", name, _is_schedule)
        options = _options(options, more)
        _known_options(name, found, options, ())
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", options)

    def __call__(self, step: Any) -> Any:
        """The factor in this step."""
        found = getattr(optax, self.name)
        return found(**{_first(self.name): 1.0, **dict(self.options)})(step)


@dataclasses.dataclass(frozen=True, init=False)
class Optimiser:
    """An optimiser of optax, whose rate may differ between the runs of a program.

    Args:
        name: in optax, such as ``"adam"``.
        rate: the learning rate, or what its schedule multiplies.
        schedule: a :class:`Schedule`, or a function of the number of steps that has a
            name in a module.
        options: of optax's function, such as ``momentum``.

    Raises:
        InputError: for a name that optax has not, a rate that is not positive, and
            options that optax's function has not.
    """

    name: str
    rate: float
    schedule: Callable[[Any], Any] | None = None
    options: Options = ()

    def __init__(
        self,
        name: str,
        rate: float | int,
        schedule: Callable[[Any], Any] | None = None,
        options: Any = (),
        **more: Any,
    ):
        found = _in_optax("optimiser", name, _has_rate)
        options = _options(options, more)
        _known_options(name, found, options, (_RATE,))
        at_least("rate", rate, 0.0)
        if rate == 0:
            raise InputError(f"rate={rate!r}", "nothing would be learnt", "rate=1e-3")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "rate", float(rate))
        object.__setattr__(self, "schedule", schedule)
        object.__setattr__(self, "options", options)

    def transformation(self, rate: Any = None) -> optax.GradientTransformation:
        """Optax's own, at this rate, which may be traced."""
        rate = self.rate if rate is None else rate
        schedule, constant = self.schedule, rate
        if schedule is not None:
            rate = lambda step: constant * schedule(step)
        return getattr(optax, self.name)(rate, **dict(self.options))


def _options(given: Any, more: dict[str, Any]) -> Options:
    """Options sorted by name, so that equal ones have one JSON form and one hash."""
    options = {**dict(given), **more}
    for name, value in options.items():
        options[name] = value = tuple(value) if isinstance(value, list) else value
        try:
            hash(value)
        except TypeError as error:
            raise InputError(
                f"{name}={told(value)}",
                f"a {type(value).__name__} in a specification has no name or hash",
                "numbers, strings, tuples, frozen dataclasses, functions of a module",
            ) from error
    return tuple(sorted(options.items()))


def _first(name: str) -> str | None:
    """The first argument of a function of optax."""
    found = getattr(optax, name)
    if not inspect.isfunction(found):
        return None
    return next(iter(inspect.signature(found).parameters), None)


def _has_rate(name: str) -> bool:
    return _first(name) == _RATE


def _is_schedule(name: str) -> bool:
    return _first(name) in ("init_value", "value")


def _in_optax(kind: str, name: str, fits: Callable[[str], bool]) -> Callable[..., Any]:
    if not (hasattr(optax, name) and fits(name)):
        public = [n for n in dir(optax) if not n.startswith("_")]
        one_of(kind, name, [n for n in public if callable(getattr(optax, n))])
        one_of(kind, name, filter(fits, public))
    return getattr(optax, name)


def _known_options(
    name: str, found: Callable[..., Any], options: Options, taken: tuple[str, ...]
) -> None:
    known = [n for n in inspect.signature(found).parameters if n not in taken]
    for option, _ in options:
        one_of(f"option of {name}", option, known)
