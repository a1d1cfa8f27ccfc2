"""How a run ended."""

import enum


class Status(enum.IntEnum):
    """Outcome of a run; anything but ``FINISHED`` is never averaged in silently."""

    FINISHED = 0
    MAX_STEPS = 1
    NON_FINITE = 2

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        return _SENTENCES[self]


_SENTENCES = {
    Status.FINISHED: "The final time was reached.",
    Status.MAX_STEPS: (
        "The step budget ran out before the final time; "
        "raise Adaptive(max_steps=...) or loosen rtol."
    ),
    Status.NON_FINITE: (
        "The state stopped being finite; the step is too large for this problem "
        "or the loss has overflowed."
    ),
}
