"""How far a sweep is, in words."""

import calendar
import time
from typing import Any

from jaxbias import cli_arguments as commands
from jaxbias.cli_output import print_json


def status(command: commands.Status) -> None:
    """Print how far the sweep in a folder is."""
    from jaxbias.results.headway import headway

    found = headway(command.folder)
    if command.json:
        print_json(found)
    else:
        print("\n".join(lines(found, time.time())))


def lines(found: dict[str, Any], now: float) -> list[str]:
    """What ``headway`` has found, in words; what cannot be told is left out.

    Args:
        found: As it returns it.
        now: The time, in seconds since 1970.
    """
    told = ["{batches_written} of {batches} batches are written".format(**found)]
    if found["batches_at_work"]:
        told[0] += f", {found['batches_at_work']} in work"
    told += [_runs(found)]
    if found["seeds_planned"] is not None:
        told += [
            "{seeds_complete} of {seeds_planned} seeds are complete".format(**found)
        ]
        told[-1] += " at every point"
    told += [_presence(found)]
    if found["last_written"] is not None:
        stamp = time.strptime(found["last_written"], "%Y-%m-%dT%H:%M:%SZ")
        ago = duration(max(0.0, now - calendar.timegm(stamp)))
        told += [f"the last file was written {ago} ago, {found['last_written']}"]
    pace, left = found["runs_per_second"], found["seconds_left"]
    if pace is not None and left is not None and found["batches_missing"]:
        when = "" if found["at_work"] else ", once it goes on"
        told += [f"about {_pace(pace)}; about {duration(left)} left{when}"]
    size = found["bytes"] / 1e6
    told += [f"{duration(found['wall_seconds'])} of computing, {size:,.1f} MB on disk"]
    return told


def _runs(found: dict[str, Any]) -> str:
    planned = found["runs_planned"]
    total = "" if planned is None else f" of {planned}"
    parts = []
    for name, count in sorted(found["statuses"].items(), key=_finished_first):
        parts.append(f"{count} {name}")
        if name == "finished" and found["inaccurate"]:
            parts[-1] += f" ({found['inaccurate']} of them inaccurate)"
    ended = f": {', '.join(parts)}" if parts else ""
    return f"{found['runs_written']}{total} runs are written{ended}"


def _finished_first(entry: tuple[str, int]) -> tuple[bool, str]:
    return entry[0] != "finished", entry[0]


def _presence(found: dict[str, Any]) -> str:
    if found["at_work"] is None:
        return "whether a process is at work there cannot be told on this file system"
    if found["at_work"]:
        return "a process is at work there"
    done = "the sweep is complete" if not found["batches_missing"] else "it has stopped"
    return f"no process is at work there; {done}"


def duration(seconds: float) -> str:
    """A time span for people, in the largest unit that it fills twice."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _pace(runs_per_second: float) -> str:
    for seconds, unit in ((1, "second"), (60, "minute"), (3600, "hour")):
        runs = runs_per_second * seconds
        if runs >= 1:
            return (
                f"{runs:,.0f} runs a {unit}"
                if runs >= 10
                else f"{runs:.1f} runs a {unit}"
            )
    return f"{runs_per_second * 86400:.1f} runs a day"
