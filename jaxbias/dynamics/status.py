"""How a run ended."""

import enum


class Status(enum.IntEnum):
    """Outcome of a run; anything but ``FINISHED`` is never averaged in silently."""

    FINISHED = 0
    MAX_STEPS = 1
    NON_FINITE = 2
    SLIDING = 3
    VANISHING = 4

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
    Status.SLIDING: (
        "The step budget ran out while the flow slid along kinks, where explicit steps "
        "have to be as small as the tolerance; raise Adaptive(max_steps=...), loosen "
        "rtol, or ask for accuracy='final outputs'."
    ),
    Status.VANISHING: (
        "The step budget ran out while a neuron's weights were close to 0 under a "
        "frozen output layer, where their direction turns at a rate of 1/|w|; raise "
        "Adaptive(max_steps=...) or initialise at another scale."
    ),
    Status.NON_FINITE: (
        "The state stopped being finite; the step is too large for this problem "
        "or the loss has overflowed."
    ),
}
