"""Measured ratios of speed at equal error, against the tools one would else use.

One pinned core, process CPU time, rounds interleaved; every method runs in a process
of its own. Nothing is imported here: ``jaxbias list`` reads the names.
"""

from jaxbias.benchmarks.names import BASELINES as BASELINES
from jaxbias.benchmarks.names import BENCHMARKS as BENCHMARKS
