"""Rows in blocks of one height: what becomes of a row does not depend on the others.

Products and compiled programs round differently for different numbers of rows. Here
they always see as many, the last one repeated, so that a point has the same bits alone,
in a batch, twice, or in another order.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

HEIGHT = 32
"""Rows of every block: a multiple of what the kernels of products take at once."""


def blocks(count: int) -> Iterator[tuple[slice, Int[np.ndarray, " row"]]]:
    """Where the rows of each block go, and their numbers, filled up with the last."""
    for start in range(0, count, HEIGHT):
        stop = min(start + HEIGHT, count)
        yield (
            slice(start, stop),
            np.minimum(np.arange(start, start + HEIGHT), count - 1),
        )


def product(
    left: Float[np.ndarray, "row inner"], right: Float[np.ndarray, "inner column"]
) -> Float[np.ndarray, "row column"]:
    """The product, every block of rows by itself."""
    # Columns that were picked lie the other way round in memory, but for one row.
    left, count = np.ascontiguousarray(left), len(left)
    if count == HEIGHT:
        return left @ right
    whole = count - count % HEIGHT
    out = np.empty((count, right.shape[1]), np.result_type(left, right))
    for start in range(0, whole, HEIGHT):
        np.matmul(left[start : start + HEIGHT], right, out=out[start : start + HEIGHT])
    if whole < count:
        last = np.zeros((HEIGHT, left.shape[1]), left.dtype)
        last[: count - whole] = left[whole:]
        out[whole:] = (last @ right)[: count - whole]
    return out
