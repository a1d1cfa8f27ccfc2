"""Verdicts that an earlier run has written down."""

import json
from pathlib import Path
from typing import Any

from jaxbias._checks import InputError
from jaxbias._paths import exists, shown


def stored_verdicts(folder: Path) -> list[dict[str, Any]]:
    """Rows of the ``verdicts.json`` that studies left in a folder.

    Raises:
        InputError: There is no such folder or file, or one is no list of verdicts.
    """
    exists(folder, f"--from {shown(folder)}")
    files = sorted({*folder.glob("verdicts.json"), *folder.glob("*/verdicts.json")})
    if not files:
        raise InputError(
            f"--from {shown(folder)}",
            "no study has left its verdicts.json there",
            f"jaxbias reproduce --out {folder}",
        )
    rows = []
    for file in files:
        try:
            found = json.loads(file.read_text("utf-8"))
            if not all({"claim", "verdict", "expected"} <= set(row) for row in found):
                raise ValueError("a row lacks its claim, verdict or expected verdict")
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"file {file}",
                f"it holds no list of verdicts ({error})",
                f"jaxbias reproduce --out {folder}, which writes it anew",
            ) from error
        rows += found
    return rows
