"""Parts of a study side by side: XLA compiles on one core, so two parts share two."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST = 4


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``[work(item) for item in items]`` in as many threads as there are cores.

    Args:
        work: does one part; an error in any part is raised here.
        items: the parts, in the order of the results.
    """
    threads = min(_MOST, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
