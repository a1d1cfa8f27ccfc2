"""BibTeX for what a claim, a verdict or a table of results rests on."""

import functools
import importlib.resources
import re
from typing import Any

from jaxbias._checks import one_of

# An entry ends at the first brace that stands alone at the start of a line.
_ENTRY = re.compile(r"^@\w+\{(?P<key>[^,\s]+),\n.*?^\}$", re.MULTILINE | re.DOTALL)


@functools.cache
def references() -> dict[str, str]:
    """Every BibTeX entry of the package, by its key."""
    text = importlib.resources.files("jaxbias").joinpath("references.bib")
    return {m["key"]: m[0] for m in _ENTRY.finditer(text.read_text("utf-8"))}


def keys_in(text: str) -> list[str]:
    """The bibliography keys that a text names, in the order of their appearance.

    A key inside a longer word does not count: ``min-vidal-2025c`` does not name
    ``min-vidal-2025``, while the claim ``min-vidal-2025/theorem-1`` does.
    """
    found = re.findall(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", text)
    return [key for key in dict.fromkeys(found) if key in references()]


def cite(of: Any = "jaxbias") -> str:
    """BibTeX entries for a key, a claim, a verdict or a table of results.

    Args:
        of: A bibliography key (``"min-vidal-2025"``), the name of a claim
            (``"min-vidal-2025/theorem-1"``), a claim, a verdict, or an
            ``xarray.Dataset``, whose attributes are searched for keys.

    Returns:
        The entries, separated by empty lines.

    Raises:
        InputError: If nothing that is named has an entry.

    Example:
        >>> print(cite("bogacki-shampine-1989").splitlines()[0])
        @article{bogacki-shampine-1989,
    """
    of = getattr(of, "claim", of)
    if isinstance(of, str):
        text = of
    elif hasattr(of, "attrs"):
        # Before ``source``: a table shows its attributes as attributes of its own.
        text = str(of.attrs)
    else:
        text = str(getattr(of, "source", of))
    keys = keys_in(text)
    if not keys:
        one_of("key", text.split("/")[0], references())
    return "\n\n".join(references()[key] for key in keys)
