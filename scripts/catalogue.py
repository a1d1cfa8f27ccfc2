"""Write jaxbias/_catalogue.json, which `jaxbias list` reads.

The index is generated so that listing loads neither JAX nor the claims themselves.
"""

import json
from pathlib import Path

from jaxbias._files import write_text
from jaxbias.benchmarks import BENCHMARKS
from jaxbias.studies import STUDIES
from jaxbias.verification.registry import catalogue

PATH = Path(__file__).parents[1] / "jaxbias" / "_catalogue.json"


def current() -> dict[str, list[dict]]:
    """Studies, claims, figures and benchmarks as the code has them now."""
    return {
        "studies": [
            {"name": name, "description": study.description, "main": study.main}
            for name, study in STUDIES.items()
        ],
        "claims": catalogue(),
        "figures": [
            {"name": f"{name}/{figure}", "description": description}
            for name, study in STUDIES.items()
            for figure, description in study.figures.items()
        ],
        "benchmarks": [
            {"name": name, "description": text} for name, text in BENCHMARKS.items()
        ],
    }


if __name__ == "__main__":
    write_text(PATH, json.dumps(current(), indent=1) + "\n")
