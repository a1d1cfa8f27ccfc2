"""One call's points, network and options, and the scalar problems still open in it."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from jaxbias.robustness._blocks import product
from jaxbias.robustness._branching import Budget
from jaxbias.robustness._convex import nearest, tangent_sets
from jaxbias.robustness._dead_zone import asleep
from jaxbias.robustness._ends import Ends, lengths
from jaxbias.robustness._lanes import Lanes, without_fixed
from jaxbias.robustness._lower import reduced
from jaxbias.robustness._normal_form import Sites, scaled
from jaxbias.robustness._patterns import COMBINED, combinations, patterns, relaxation
from jaxbias.robustness._problems import Attacked, Box
from jaxbias.robustness._reading import Reading, problems
from jaxbias.robustness._tight import descend
from jaxbias.robustness.minimum_norm import Search

# Share of the clean value that merging neurons may cost.
_COST = 2e-4
# Where nothing is broken there is no radius to search up to; sizes of the input do.
_FAR = 4.0
# Features of the largest convex projections that every effort can afford.
_SMALL = 24
# And of those that the shortest witness alone can afford.
_MEDIUM = 64
# Ends closer than this have nothing flat between them.
_CLOSE = 1 - 1e-6
# Rounds of combinations, and what a round must gain for another one.
_ROUNDS, _SETTLED = 3, 1e-3
# Opposing neurons that every effort combines.
_FEW = 4
# Ends closer than this need no further search.
_NEAR = 0.98
# Of many rivals, those that a step hardly reaches are left to the other searches.
_FOLLOWED = 2


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    order: float
    effort: str
    tie: str
    search: Search
    budget: Budget


@dataclass(frozen=True)
class Case:
    """One network and its points, in their own units of length, ready for the attack.

    The box is one of steps, the walls are those of the inputs.
    """

    reading: Reading
    points: Float[np.ndarray, "sample feature"]
    sites: Sites
    labels: Int[np.ndarray, " sample"]
    attacked: Attacked
    ends: Ends
    box: Box | None
    centres: Float[np.ndarray, "cluster feature"] | None
    walls: tuple[np.ndarray, np.ndarray] | None


class OpenLanes:
    """The scalar problems of the points that are right, and smaller ones below them."""

    def __init__(self, case: Case, rows: np.ndarray, options: Options):
        self.case, self.rows, self.options = case, rows, options
        self.sites = case.sites.take(rows)
        self.full = problems(case.reading, self.sites, case.labels[rows])
        if case.box is not None:
            low, high = (end[rows][self.full.point] for end in case.box)
            self.full = without_fixed(replace(self.full, low=low, high=high))
        self._far = _FAR * self._lengths()
        self.reach = self.reach_now()
        self.parts: list[tuple[np.ndarray, Lanes]] = []

    def reduce(self, index: np.ndarray, every: bool) -> None:
        """Make the parts: smaller problems below the lanes of these numbers.

        Unless every one is wanted, only those that can be searched.
        """
        form, order, reach = self.case.reading.form, self.options.order, self.reach
        if len(index):
            most = None if every else _MEDIUM
            lanes = self.full.take(index)
            found = reduced(form, lanes, reach[index], order, _COST, most)
            self.parts = [(index[inner], small) for inner, small in found]

    def apart(self, lower: np.ndarray) -> np.ndarray:
        """Lanes whose ends do not meet."""
        return np.flatnonzero(lower < _CLOSE * self.reach_now())

    def open(self, lower: np.ndarray) -> np.ndarray:
        """Lanes whose ends are so far apart that a search may gain something.

        Where several classes speak for the label, a rival has to beat the strongest of
        them: of the lanes of one rival only that with the largest lower end.
        """
        full = self.full
        rivals = full.point * (1 + full.rival.max(initial=0)) + full.rival
        strongest = _ranks(rivals, -lower) == 0
        return np.flatnonzero(strongest & (lower < _NEAR * self.reach_now()))

    def reach_now(self) -> np.ndarray:
        """How far each lane has to look."""
        upper = self.case.ends.upper[self.rows]
        upper = upper[self.full.point]
        return np.where(np.isfinite(upper), upper * (1 + 1e-9), self._far)

    def _lengths(self) -> np.ndarray:
        """A length of each lane, of what can contribute to it and of its point alone.

        The point's own, how far the kinks are from 0, and the step whose output is of
        the size of the constant.
        """
        full, points = self.full, self.sites.inputs
        sizes = lengths(points, self.options.order)[full.point]
        # A neuron that reads no input is a constant.
        reads = (full.rows != 0).any(1)
        heights = full.profile.value(np.maximum(full.scores, 0.0), full.scale)
        level = np.where(reads, 0.0, (full.plus - full.minus) * heights).sum(1)
        level = np.abs(full.constant + level)
        mass = np.where(reads, full.plus + full.minus, 0.0)
        offsets = scaled(full.offsets[None], -full.exponent[:, None])
        kinks = np.where(mass > 0, np.abs(offsets), 0.0).max(1, initial=0.0)
        mass = mass.sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = (level / mass) ** (1 / full.profile.power)
        rise = np.where(np.isfinite(rise), rise, 0.0)
        found = sizes + kinks + rise
        return np.where(found > 0, found, 1.0)

    def offer(self, small: Lanes, source: str):
        """What takes steps of lanes for their points."""

        def take(index: np.ndarray, steps: np.ndarray) -> None:
            rows = self.rows[small.point[index]]
            if self.options.order == 2 and small.basis is not None:
                # A rotation keeps lengths: what cannot win is not carried back.
                hope = lengths(steps, 2) < self.case.ends.upper[rows]
                rows, steps = rows[hope], steps[hope]
            self.case.ends.offer(rows, small.lift(steps), source)

        return take

    def inner(self, small: Lanes, steps: np.ndarray) -> np.ndarray:
        """Steps of the lanes' points in their features."""
        return steps if small.basis is None else product(steps, small.basis.T)

    def improve(
        self, kept: list[tuple[np.ndarray, np.ndarray]], lower: np.ndarray
    ) -> None:
        """Project onto convex sets of broken points, where projections are small.

        Only in lanes whose certified ends are further below their reach than others.
        """
        for index, small in self._small(self.apart(lower), _MEDIUM):
            self.polish(index, small)
        for index, small in self._small(self.open(lower)):
            self.wake(index, small)
            self._follow(index, small, kept)

    def polish(self, index: np.ndarray, small: Lanes) -> None:
        """Relinearise at the witnesses: the set of broken points of each holds it."""
        order, ends = self.options.order, self.case.ends
        steps = (ends.witness - self.case.sites.inputs)[self.rows]
        begin, reach = self.inner(small, steps)[small.point], self.reach[index]
        found = descend(small, begin, reach, order, 3)
        everyone = np.arange(small.count)
        self.offer(small, "relinearised witness")(everyone, found.step)

    def wake(self, index: np.ndarray, small: Lanes) -> None:
        """Relinearise where all opposing neurons are on."""
        order, reach = self.options.order, self.reach[index]
        everyone = np.arange(small.count)
        all_on = np.broadcast_to(np.maximum(small.scores, 0) + 1.0, small.scores.shape)
        found = nearest(small, tangent_sets(small, all_on), reach, order)
        found = descend(small, found.step, reach, order, 2)
        self.offer(small, "all opposing on")(everyone, found.step)

    def look_further(self, lower: np.ndarray) -> None:
        """Try more sets of broken points where the ends are still apart."""
        self._fall_asleep(lower)
        for index, part in self._small(self.open(lower)):
            reach, order = self.reach_now()[index], self.options.order
            begin, below = relaxation(part, reach, order)
            found = descend(part, begin, reach, order, 3)
            self.offer(part, "relaxation")(np.arange(part.count), found.step)
            # Of many rivals, the relaxation leaves few that may be nearer.
            reach = self.reach_now()[index]
            inner = np.flatnonzero(below < _NEAR * reach)
            if not len(inner):
                continue
            part, reach = part.take(inner), reach[inner]
            self._follow_all(
                part, reach, patterns(part, reach, order), "one opposing neuron"
            )
            index, below = index[inner], below[inner]
            left = np.flatnonzero(below < _NEAR * self.reach_now()[index])
            if len(left):
                part, below = part.take(left), below[left]
                self.combine(index[left], part, below, 1, _FEW)

    def combine(
        self,
        index: np.ndarray,
        small: Lanes,
        lower: np.ndarray,
        rounds: int = _ROUNDS,
        most: int = COMBINED,
    ) -> None:
        """Try combinations of opposing neurons, where the ends are still apart."""
        if not len(index) or not self.fits(small):
            return
        order, ends = self.options.order, self.case.ends
        fine = small
        if len(small.rows) < len(self.full.rows):
            # Steps of merged neurons are mended by the neurons themselves.
            form, whole = self.case.reading.form, self.full.take(index)
            (_, fine), *_ = reduced(form, whole, self.reach[index], order, -1.0)
            fine = fine if self.fits(fine) else small
        moving = np.ones(small.count, bool)
        for _ in range(rounds):
            upper = self.reach_now()[index]
            inner = np.flatnonzero(moving & (lower < (1 - _SETTLED) * upper))
            if not len(inner):
                return
            part, reach = small.take(inner), upper[inner]
            steps = (ends.witness - self.case.sites.inputs)[self.rows][part.point]
            at = part.scores + product(self.inner(part, steps), part.rows.T)
            name, whole = "opposing neurons combined", fine.take(inner)
            begins = list(combinations(part, at, reach, order, most))
            for begin in begins:
                self.offer(part, name)(np.arange(part.count), begin)
            begins = [self.inner(whole, part.lift(begin)) for begin in begins]
            self._follow_all(whole, reach, begins, name)
            moving &= self.reach_now()[index] < (1 - _SETTLED) * upper

    def _follow_all(self, part, reach, begins, source: str) -> None:
        """Relinearise at several steps of every lane."""
        begins = list(begins)
        lane = np.tile(np.arange(part.count), len(begins))
        many, order = part.take(lane), self.options.order
        found = descend(many, np.concatenate(begins), reach[lane], order, 3)
        self.offer(many, source)(np.arange(many.count), found.step)

    def _fall_asleep(self, lower: np.ndarray) -> None:
        """Try where all own neurons are off, if that breaks and no tangent sees it."""
        full = self.full
        small = max(full.rows.shape) <= _MEDIUM and not full.linear.any()
        if full.profile.exponential or not small or self.options.tie == "<":
            return
        apart = (lower < _CLOSE * self.reach_now()) & (full.constant <= 0)
        if full.profile.power == 1:
            # The set of a tangent may have no inside, which projections need; without
            # an opposing neuron it has none.
            alone = ~(full.minus > 0).any(1) & (full.constant == 0)
            apart &= alone | np.isinf(self.case.ends.upper[self.rows][full.point])
        order, chosen = self.options.order, np.flatnonzero(apart).tolist()
        found = {lane: asleep(full, lane, order) for lane in chosen}
        steps = {lane: step for lane, step in found.items() if step is not None}
        if steps:
            index = np.array(list(steps))
            self.offer(full, "dead zone")(index, np.stack(list(steps.values())))

    def fits(self, small: Lanes, most: int = _SMALL) -> bool:
        """Whether convex projections of these lanes are cheap."""
        return small.rows.shape[1] <= most

    def _small(self, wanted: np.ndarray, most: int = _SMALL):
        """Parts whose projections are cheap, with those of their lanes only."""
        for index, small in self.parts:
            inner = np.flatnonzero(np.isin(index, wanted))
            if len(inner) and self.fits(small, most):
                yield index[inner], small.take(inner)

    def _spread(self, kept):
        """The tried steps, one for each point at a time."""
        rows = np.concatenate([one for one, _ in kept])
        steps = np.concatenate([one for _, one in kept])
        order = np.argsort(rows, kind="stable")
        rows, steps = rows[order], steps[order]
        first = np.searchsorted(rows, rows)
        turn = np.arange(len(rows)) - first
        for each in range(turn.max(initial=-1) + 1):
            yield rows[turn == each], steps[turn == each]

    def _follow(self, index, small, kept) -> None:
        """Relinearise at steps, in the lanes of their points that they break most."""
        lanes, begins = [], []
        for rows, steps in self._spread(kept):
            place = np.full(len(self.case.labels), -1)
            place[rows] = np.arange(len(rows))
            number = place[self.rows[small.point]]
            some = np.flatnonzero(number >= 0)
            begin = self.inner(small, steps)[number[some]]
            rank = _ranks(small.point[some], small.take(some).values(begin))
            lanes.append(some[rank < _FOLLOWED])
            begins.append(begin[rank < _FOLLOWED])
        lane = np.concatenate([np.zeros(0, int), *lanes])
        if not len(lane):
            return
        part, reach = small.take(lane), self.reach[index][lane]
        found = descend(part, np.concatenate(begins), reach, self.options.order, 3)
        self.offer(part, "relinearised step")(np.arange(part.count), found.step)


def _ranks(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many values of the same group are smaller, equal ones as they come."""
    order = np.lexsort((values, groups))
    found = np.empty(len(values), int)
    found[order] = np.arange(len(values)) - np.searchsorted(
        groups[order], groups[order]
    )
    return found
