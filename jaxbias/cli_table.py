"""A table of numbers, and which of its columns holds the labels: never guessed."""

from dataclasses import dataclass
from typing import Any

from jaxbias._checks import InputError

LABELS = ("label", "labels", "y", "target", "targets", "class", "classes")
CELL = 24
"""Characters of a cell that a message shows."""
SAVE = "a text file with one row a point, numbers like 0.5 and a column called label"
_SHOWN, _OFFERED = 8, 3


@dataclass(frozen=True)
class Table:
    """Numbers in rows and columns.

    Attributes:
        source: how messages name it.
        names: of the columns, where the file has a header.
        values: (row, column).
        lines: the line of the file that each row ends on.
    """

    source: str
    names: list[str] | None
    values: Any
    lines: list[int]

    def split(self, label: str | None) -> tuple[Any, Any]:
        """Inputs and labels.

        Args:
            label: the name or the number (from 0, or from -1 backwards) of the column.

        Raises:
            InputError: for fewer than two columns, and a label column that is not
                there or cannot be known.
        """
        import numpy as np

        if self.values.shape[1] < 2:
            raise InputError(
                self.source,
                "it has one column, and a point is an input and a label",
                SAVE,
            )
        self._no_counting()
        place = self._named(label) if label is not None else self._found()
        return np.delete(self.values, place, axis=1), self.values[:, place]

    def _named(self, label: str) -> int:
        width = self.values.shape[1]
        found = {place for place, name in enumerate(self.names or ()) if name == label}
        if not found:
            low = label.strip().casefold()
            names = enumerate(self.names or ())
            found = {place for place, name in names if name.casefold() == low}
        try:
            number = int(label)
        except ValueError:
            number = None
        if number is not None and -width <= number < width:
            found.add(number % width)
        if len(found) == 1:
            return found.pop()
        raise InputError(
            f"--label {label} for {self.source}",
            f"{'several columns are' if found else 'no column is'} called so; "
            f"{self._columns()}",
            f"--label {self.names[-1] if self.names else -1}",
        )

    def _found(self) -> int:
        if self.names is None:
            return self._unnamed()
        places = [p for p, name in enumerate(self.names) if name.casefold() in LABELS]
        if len(places) == 1:
            self._whole(places[0])
            return places[0]
        called = [self.names[place] for place in places]
        apart = len({name.casefold() for name in called}) == len(called)
        options = called if called and apart else places or [self.names[-1]]
        raise InputError(
            f"{self.source} with {self._columns()}",
            f"{'several' if places else 'none'} of them may hold the labels, and "
            "which one is not guessed",
            " or ".join(f"--label {option}" for option in options),
        )

    def _whole(self, place: int) -> None:
        """Refuse a column whose name is that of labels and whose numbers are not."""
        import numpy as np

        assert self.names is not None
        values = self.values[:, place]
        if np.array_equal(values, np.round(values)):
            return
        other = next((n for n in self.names[::-1] if n != self.names[place]), "COLUMN")
        raise InputError(
            f"{self.source} with {self._columns()}",
            f"{self.names[place]} is called like labels and holds fractions",
            f"--label {other}, or another column",
        )

    def _unnamed(self) -> int:
        """The last column, where it alone holds whole numbers."""
        import numpy as np

        whole = np.flatnonzero((self.values == np.round(self.values)).all(axis=0))
        last = self.values.shape[1] - 1
        if whole.tolist() == [last]:
            return -1
        # A feature that is 0 in every row looks like labels, and labels like a feature.
        places = [place for place in (0, last) if place in whole]
        places += [place for place in whole if place not in places]
        if len(places) > 1:
            named = ", ".join(map(str, whole[:_SHOWN]))
            which = f"columns {named}{', ...' * (len(whole) > _SHOWN)} do"
        else:
            which = f"column {places[0]} does" if places else "none does"
        options = places[:_OFFERED] or [0, last]
        raise InputError(
            f"{self.source} without names of columns",
            "labels are taken from the last column where it alone holds whole "
            f"numbers; here {which}, counted from 0",
            " or ".join(f"--label {-1 if p == last else p}" for p in options)
            + ", whichever holds the labels",
        )

    def _no_counting(self) -> None:
        """Refuse a first line that counts, with whatever column holds the labels.

        pandas writes 0, 1, 2, ... where columns have no names, and R and Excel 1, 2, 3;
        read as a point it would be one that nobody has measured.
        """
        import numpy as np

        if self.names is not None or not len(self.values):
            return
        steps = np.arange(self.values.shape[1])
        for first in (0, 1):
            if np.array_equal(self.values[0], steps + first):
                counted = f"{first}, {first + 1}, ..."
                raise InputError(
                    f"{self.source}, whose first line counts {counted}",
                    "it may be a point, or names of columns as pandas writes them",
                    "a file without that line, or, if it is a point, with a line of "
                    "names above it: a, b, ..., label",
                )

    def _columns(self) -> str:
        if self.names is None:
            return f"{self.values.shape[1]} columns without names"
        more = len(self.names) - _SHOWN
        shown = ", ".join(name[:CELL] for name in self.names[:_SHOWN])
        return f"columns {shown}" + (f" and {more} more" if more > 0 else "")
