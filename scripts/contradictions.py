"""The relations and the attacks of the tests on many networks, and the logs of both.

A case is one point: in `metamorphic` under one relation at one effort, in
`contradictions` under all attacks. Failures are counted and the first ones listed, with
the numbers that draw them again; none is left out. Upper ends raised by 2 % show what
either would notice. What has been counted is kept in a file beside the log, so that a
run that is stopped goes on.

    python scripts/contradictions.py metamorphic
"""

import argparse
import json
import sys
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "robustness"))

import random_nets as nets  # pyright: ignore[reportMissingImports] # noqa: E402
import relations as kin  # pyright: ignore[reportMissingImports] # noqa: E402
import rival_attacks as rivals  # pyright: ignore[reportMissingImports] # noqa: E402

USUAL, CLOSED, MOST, RAISED, LISTED = 1e-6, 1.3e-6, 0.02, 1.02, 60
CASES = 20_000
NORM = {2.0: "l_2", np.inf: "l_inf"}


class Counts:
    """Counts and largest values by name, kept in a file."""

    def __init__(self, path):
        self.path = path
        self.number, self.sums, self.most, self.listed = 0, Counter(), {}, []
        self.seconds = 0.0
        if path.exists():
            kept = json.loads(path.read_text())
            self.number, self.most = kept["number"], kept["most"]
            self.sums, self.listed = Counter(kept["sums"]), kept["listed"]
            self.seconds = kept["seconds"]

    def add(self, where, **counts):
        """Add numbers under each of some headings."""
        for heading in where:
            for name, count in counts.items():
                self.sums[f"{heading}|{name}"] += int(count)

    def raise_to(self, where, **values):
        """Keep the largest."""
        for heading in where:
            for name, value in values.items():
                key = f"{heading}|{name}"
                self.most[key] = max(self.most.get(key, 0.0), float(value))

    def fail(self, text):
        """List a failure, as long as there is room."""
        if len(self.listed) < LISTED:
            self.listed.append(text)

    def headings(self, kind):
        """The headings of one kind, sorted as they were written."""
        names = {key.rsplit("|", 1)[0] for key in self.sums}
        return sorted(name for name in names if name.startswith(kind))

    def save(self):
        """Write the file."""
        self.path.write_text(json.dumps(vars(self) | {"path": str(self.path.name)}))


def network(number, seed, efforts):
    """The network of a number, what it is, and an effort: all drawn by the number."""
    rng = np.random.default_rng([seed, number])
    exponents = sorted(nets.ACTIVATIONS)
    exponent = exponents[number % len(exponents)]
    order = nets.ORDERS[number // len(exponents) % 2]
    given = {
        "kind": str(rng.choice(nets.KINDS)),
        "exponent": exponent,
        "order": order,
        "biased": bool(rng.random() < 0.5),
        "classes": bool(rng.random() < 0.3) and exponent in (1.0, 3.0),
        "boxed": bool(rng.random() < 0.3),
    }
    effort = efforts[number // (2 * len(exponents)) % len(efforts)]
    return nets.draw(rng, **given), given, effort


def words(given):
    """A network's description in one line."""
    flags = [name for name in ("biased", "classes", "boxed") if given[name]]
    where = f"p = {given['exponent']:g}, {NORM[given['order']]}, {given['kind']}"
    return ", ".join([where, *flags])


def groups(given, effort):
    """The headings under which a network counts."""
    yes = lambda name: "with" if given[name] else "without"
    return (
        "all",
        f"effort {effort}",
        f"norm {NORM[given['order']]}",
        f"p {given['exponent']:g}",
        f"biases {yes('biased')}",
        f"box {yes('boxed')}",
        f"outputs {'several' if given['classes'] else 'one'}",
    )


def intervals(counts, case, where, label, effort):
    """A case's radii; a crash is counted as a failure of every point."""
    try:
        return case.radius(effort)
    except Exception as error:
        counts.add(where, cases=len(case.points), crashed=len(case.points))
        counts.fail(f"{label}: {type(error).__name__}: {str(error)[:100]}")
        return None


def metamorphic(counts, number, seed, efforts):
    """One network under every relation."""
    case, given, effort = network(number, seed, efforts)
    label = f"network {number}: {words(given)}, {effort}"
    first = intervals(counts, case, groups(given, effort), label, effort)
    if first is None:
        return
    for name, relation in kin.RELATIONS.items():
        if not relation.asks(case):
            continue
        rng = np.random.default_rng([seed, number, zlib.crc32(name.encode())])
        twin, factor = relation.apply(rng, case)
        where = (*groups(given, effort), f"relation {name}", f"{effort}: {name}")
        second = intervals(counts, twin, where, f"{label}: {name}", effort)
        if second is None:
            continue
        found = kin.differences(case, first, second, factor)
        # Teeth: one of the two upper ends raised.
        broken = np.isfinite(first.upper) & (first.upper > 0)
        lowered = type(second)(**{**vars(second), "upper": RAISED * second.upper})
        raised = kin.differences(case, first, lowered, factor)
        limit = kin.allowed(first, second, MOST, CLOSED)
        bad = found.disjoint.copy()
        if relation.demands == "bits":
            bad |= found.bits
            teeth = raised.bits
        elif relation.demands == "close":
            bad |= (found.upper > limit) | (found.lower > limit)
            teeth = raised.upper > USUAL
        else:
            teeth = raised.disjoint
        counts.add(
            where,
            cases=len(bad),
            failed=bad.sum(),
            disjoint=found.disjoint.sum(),
            bits=found.bits.sum() if relation.demands == "bits" else 0,
            upper_apart=(found.upper > USUAL).sum() * (relation.demands != "overlap"),
            lower_apart=(found.lower > USUAL).sum() * (relation.demands != "overlap"),
            raised=broken.sum(),
            noticed=(teeth & broken).sum(),
        )
        if relation.demands != "overlap":
            counts.raise_to(where, upper=found.upper.max(), lower=found.lower.max())
        for row in np.flatnonzero(bad)[:2]:
            one, two = first, second
            counts.fail(
                f"{label}: {name}, point {row}: [{one.lower[row]:.9g}, "
                f"{one.upper[row]:.9g}] and [{two.lower[row] / factor:.9g}, "
                f"{two.upper[row] / factor:.9g}]"
            )
    rng = np.random.default_rng([seed, number, 1])
    for name, (part, rows) in kin.companies(rng, case).items():
        where = (*groups(given, effort), f"relation company: {name}")
        where = (*where, f"{effort}: company: {name}")
        found = part.radius(effort)
        same = np.ones(len(rows), bool)
        for field in ("lower", "upper", "witness", "status", "method"):
            equal = getattr(found, field) == getattr(first, field)[rows]
            same &= equal.reshape(len(rows), -1).all(1)
        broken = np.isfinite(found.upper) & (found.upper > 0)
        counts.add(
            where,
            cases=len(rows),
            failed=(~same).sum(),
            bits=(~same).sum(),
            raised=broken.sum(),
            noticed=broken.sum(),
        )
        for row in np.flatnonzero(~same)[:1]:
            counts.fail(f"{label}: company {name}, point {rows[row]}")


def contradictions(counts, number, seed, efforts):
    """One network under every attack."""
    case, given, effort = network(number, seed, efforts)
    label = f"network {number}: {words(given)}, {effort}"
    found = intervals(counts, case, groups(given, effort), label, effort)
    if found is None:
        return
    rng = np.random.default_rng([seed, number, 2])
    wrong = rivals.witness_fails(case, found, nets.ROUNDING)
    for row in np.flatnonzero(wrong):
        counts.fail(f"{label}: witness of point {row}")
    any_upper, any_lower = np.zeros_like(wrong), np.zeros_like(wrong)
    any_noticed, own = np.zeros_like(wrong), found.upper > 0
    for name, attack in rivals.ATTACKS.items():
        lengths = attack(rng, case, found)
        upper = rivals.nearer_than_upper(found, lengths)
        lower = rivals.nearer_than_lower(case, found, lengths)
        noticed = rivals.nearer_than_upper(found, lengths, RAISED)
        noticed &= np.isfinite(found.upper)
        any_upper, any_lower = any_upper | upper, any_lower | lower
        any_noticed = any_noticed | noticed
        counts.add(
            (f"attack {name}",),
            cases=len(wrong),
            found=np.isfinite(lengths).sum(),
            upper=upper.sum(),
            lower=lower.sum(),
            noticed=noticed.sum(),
        )
        with np.errstate(all="ignore"):
            excess = np.where(
                own & np.isfinite(lengths), 1 - lengths / found.upper, 0.0
            )
        counts.raise_to((f"attack {name}",), excess=np.max(excess, initial=0.0))
        counts.raise_to(groups(given, effort), excess=np.max(excess, initial=0.0))
        for row in np.flatnonzero(upper | lower)[:2]:
            counts.fail(
                f"{label}: {name} finds {lengths[row]:.6g} at point {row}, "
                f"[{found.lower[row]:.6g}, {found.upper[row]:.6g}]"
            )
    counts.add(
        groups(given, effort),
        cases=len(wrong),
        witness=wrong.sum(),
        upper=any_upper.sum(),
        lower=any_lower.sum(),
        raised=(own & np.isfinite(found.upper)).sum(),
        noticed=any_noticed.sum(),
    )


def metamorphic_log(counts):
    """The table of the relations."""
    head = (
        "points, relations", "failed", "crashed", "disjoint", "other bits",
        "upper ends apart by over 1e-6", "lower ends", "worst upper", "worst lower",
        "raised ends noticed",
    )  # fmt: skip
    rows = [f"| what | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    kinds = (
        "all",
        "relation ",
        "effort ",
        "norm ",
        "p ",
        "biases ",
        "box ",
        "outputs ",
    )
    detail = tuple(f"{effort}: " for effort in nets.EFFORTS)
    for heading in [
        name for kind in (*kinds, *detail) for name in counts.headings(kind)
    ]:
        get = lambda name, heading=heading: counts.sums[f"{heading}|{name}"]
        most = lambda name, heading=heading: counts.most.get(f"{heading}|{name}", 0.0)
        rows.append(
            f"| {heading} | {get('cases')} | {get('failed') + get('crashed')} "
            f"| {get('crashed')} | {get('disjoint')} | {get('bits')} "
            f"| {get('upper_apart')} | {get('lower_apart')} | {most('upper'):.1e} "
            f"| {most('lower'):.1e} | {get('noticed')} of {get('raised')} |"
        )
    return rows


def contradictions_log(counts):
    """The tables of the attacks and of the networks."""
    rows = [
        "| attack | points | found something | shorter than `upper` by .1 % "
        "| below `lower` | most by which it beats `upper` | would notice raised ends |",
        "|---|---|---|---|---|---|---|",
    ]
    for heading in counts.headings("attack "):
        get = lambda name, heading=heading: counts.sums[f"{heading}|{name}"]
        rows.append(
            f"| {heading[7:]} | {get('cases')} | {get('found')} | {get('upper')} "
            f"| {get('lower')} | {counts.most.get(f'{heading}|excess', 0.0):.1e} "
            f"| {get('noticed')} |"
        )
    rows += [
        "",
        "| networks | points | crashed | witness fails | `upper` contradicted "
        "| `lower` contradicted | most | raised ends noticed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds = ("all", "effort ", "norm ", "p ", "biases ", "box ", "outputs ")
    for heading in [name for kind in kinds for name in counts.headings(kind)]:
        get = lambda name, heading=heading: counts.sums[f"{heading}|{name}"]
        rows.append(
            f"| {heading} | {get('cases')} | {get('crashed')} | {get('witness')} "
            f"| {get('upper')} "
            f"| {get('lower')} | {counts.most.get(f'{heading}|excess', 0.0):.1e} "
            f"| {get('noticed')} of {get('raised')} |"
        )
    return rows


PARTS = {
    "metamorphic": (
        metamorphic,
        metamorphic_log,
        "Radii of networks that are the same but for how they are written",
        "A failure is a pair of intervals that do not overlap, an end further apart "
        "than 2 % (1.3e-6 where both are exact), other bits where only powers of two "
        "or the company changed, or a crash.",
    ),
    "contradictions": (
        contradictions,
        contradictions_log,
        "Intervals against five attacks",
        "APGD, PGD (without a box), FMN, DeepFool with bisection and SQP (at two "
        "points of a network); every witness through another forward pass.",
    ),
}


def main():
    """Run one part until its cases or the time are spent; write the log as it grows."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("part", choices=PARTS)
    asked.add_argument("--cases", type=int, default=CASES)
    asked.add_argument("--seconds", type=float, default=np.inf)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument(
        "--efforts", nargs="+", choices=nets.EFFORTS, default=nets.EFFORTS
    )
    asked.add_argument("--out", type=Path, default=Path("figures/radii"))
    asked.add_argument("--counts", type=Path, help="where counts are kept")
    given = asked.parse_args()
    warnings.simplefilter("ignore")
    run, table, title, meaning = PARTS[given.part]
    given.out.mkdir(parents=True, exist_ok=True)
    counts = Counts(given.counts or given.out / f"{given.part}.json")
    log, start, before = (
        given.out / f"{given.part}.md",
        time.monotonic(),
        counts.seconds,
    )
    while counts.sums["all|cases"] < given.cases:
        if time.monotonic() - start > given.seconds:
            break
        run(counts, counts.number, given.seed, given.efforts)
        counts.number += 1
        counts.seconds = before + time.monotonic() - start
        if counts.number % 16 == 0:
            counts.save()
            print(f"{counts.seconds:6.0f} s {counts.sums['all|cases']}", flush=True)
            # Thousands of compiled programs in one process run into its memory maps.
            if counts.number % 512 == 0:
                jax.clear_caches()
    counts.save()
    total = Counter(
        {name: counts.sums[f"all|{name}"] for name in
         ("cases", "failed", "crashed", "witness", "upper", "lower")}
    )  # fmt: skip
    failures = sum(total.values()) - total["cases"]
    lines = [
        f"# {title}",
        "",
        f"Written by `scripts/contradictions.py {given.part}`, seed {given.seed}: "
        f"{counts.number} networks, {total['cases']} cases, {failures} failures, "
        f"{counts.seconds / 60:.0f} minutes. {meaning}",
        "",
        *table(counts),
    ]
    if counts.listed:
        lines += ["", f"The first failures, at most {LISTED}:", ""]
        lines += [f"- {text}" for text in counts.listed]
    log.write_text("\n".join(lines) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
