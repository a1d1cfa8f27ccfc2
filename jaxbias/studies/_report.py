"""What a study leaves behind: data, figures, verdicts and a page that explains them."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import xarray as xr

from jaxbias._files import write_text
from jaxbias._format import brief
from jaxbias.plots import draw
from jaxbias.results import provenance, write
from jaxbias.results.specs import spec_hash


@dataclass
class Folder:
    """The folder of one study while it runs.

    Attributes:
        path: where everything goes.
        spec: the settings of the run, hashed into every file.
        seeds: the seeds of its runs.
        keep: keep the parts of long computations as files, so that a run that was
            stopped goes on where it was.
        figures: files drawn so far.
        seconds: wall time of each part so far.
    """

    path: Path
    spec: Any
    seeds: Sequence[int]
    keep: bool = False
    figures: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: int = 0
    _began: float = field(default_factory=time.perf_counter)

    @property
    def cells(self) -> Path | None:
        """Where parts are kept, if they are."""
        return self.path / "cells" if self.keep else None

    def figure(self, name: str, data: xr.Dataset, failed: int = 0) -> None:
        """Write ``data/name.nc`` and draw it; the attribute ``plot`` names the kind.

        Args:
            name: the figure's file name.
            data: its table.
            failed: runs behind it that did not finish.
        """
        now = time.perf_counter()
        self.seconds[name] = now - self._began
        about = provenance(
            self.spec,
            seeds=self.seeds,
            precision="float64",
            device=jax.devices()[0].device_kind,
            wall_seconds=self.seconds[name],
        )
        kind = {"plot": data.attrs.get("plot", name), "failed": failed}
        target = self.path / "data" / f"{name}.nc"
        write(data.assign_attrs(**about, **kind), target)
        self.figures += draw(target)
        self.failed += failed
        self._began = time.perf_counter()

    def verdicts(self, rows: list[dict[str, Any]]) -> None:
        """Write ``verdicts.json``."""
        self.seconds["verdicts"] = time.perf_counter() - self._began
        text = json.dumps(rows, indent=1, allow_nan=False)
        write_text(self.path / "verdicts.json", text + "\n")

    def readme(
        self,
        title: str,
        rows: Sequence[Mapping[str, Any]],
        captions: Mapping[str, str],
        about: Sequence[str],
        differs: Sequence[str],
    ) -> None:
        """Write the page: verdicts, figures, what was run, what differs."""
        commit = provenance().get("commit", "unknown")
        lines = [
            f"# {title}",
            "",
            "Written by the run itself; change the study, not this page. "
            f"Specification `{spec_hash(self.spec)}`, commit `{str(commit)[:12]}`.",
            "",
            "## Verdicts",
            "",
            *verdict_table(rows),
            "",
            "A numerical check can refute a statement on the settings shown; it proves "
            "none.",
            "",
            "## Figures",
        ]
        drawn = {path.stem for path in self.figures}
        for name, caption in captions.items():
            if name in drawn:
                lines += ["", f"### {name}", "", caption, "", f"![{name}]({name}.png)"]
        lines += ["", "## What was run", "", *(f"- {text}" for text in about)]
        spent = ", ".join(f"{name} {s:.0f} s" for name, s in self.seconds.items())
        lines += [f"- Wall time of the parts: {spent}."]
        if self.failed:
            runs = "1 run" if self.failed == 1 else f"{self.failed} runs"
            lines += [f"- {runs} did not finish."]
        lines += ["", "## What differs from the papers", ""]
        lines += [f"- {text}" for text in differs]
        write_text(self.path / "README.md", "\n".join(lines) + "\n")


def verdict_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The verdict rows as lines of a Markdown table."""
    lines = [
        "| claim | verdict | expected | measured | predicted | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["claim"], row["verdict"], row["expected"]]
        cells += [brief(row.get(name)) for name in ("measured", "predicted", "seeds")]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines
