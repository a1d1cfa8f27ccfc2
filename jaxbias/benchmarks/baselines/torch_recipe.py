"""The papers' recipe in PyTorch: mini-batch SGD on the mean loss, one thread.

Every step costs the same, so a time is scaled: that of few seeds at the published rate
or a larger one, by seeds and steps. Errors are of all steps, and of those few seeds,
which favours the recipe.
"""

import importlib
from typing import Any

import numpy as np

from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.prepared import Answer, Prepared, Trained

CHOSEN = None
#: The rate of the papers; it enters whether or not it meets a rule.
PUBLISHED = {"rate": 0.2}
LADDERS = (
    tuple({"rate": rate} for rate in (0.8, 0.4, 0.2, 0.1, 0.05, 0.02, 0.016, 0.01)),
)
_BATCH = 100
_FEW_SEEDS = 2


def prepare(
    workload: Flow, seeds: tuple[int, ...], setting: dict, *, record: bool = False
) -> Prepared:
    """Ready tensors; data loading is not timed."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    rate = setting["rate"]
    part = seeds[:_FEW_SEEDS]
    timed_rate = rate if record else max(rate, PUBLISHED["rate"])
    steps, timed_steps = (round(workload.horizon / r) for r in (rate, timed_rate))
    share = len(part) * timed_steps / (len(seeds) * steps)
    problems = workload.problems(part, "float32")
    start = [
        np.asarray(leaf)
        for leaf in (
            problems.dataset.inputs,
            problems.dataset.labels,
            problems.initial.hidden,
            problems.initial.output,
        )
    ]
    # The nearest step: all but the rate 0.8 at p = 3 end one at every saved time.
    saved = np.rint(workload.times / timed_rate).astype(int) if record else ()
    saved = frozenset(map(int, saved))

    def run() -> Answer:
        ends = [
            _train(torch, one, workload.exponent, timed_rate, timed_steps, saved)
            for one in zip(*start, strict=True)
        ]
        hidden, output, losses = zip(*ends, strict=True)
        hidden, output = np.stack(hidden), np.stack(output)
        finished = bool(np.isfinite(hidden).all() and np.isfinite(output).all())
        evaluations = steps * _BATCH / workload.samples
        return Answer(
            Trained(hidden, output),
            finished,
            evaluations,
            np.array(losses, np.float64) if record else None,
            len(part),
        )

    return Prepared(run, share=share, scaled=_scaled(part, seeds, rate, timed_rate))


def _scaled(part, seeds, rate: float, timed_rate: float) -> str:
    words = []
    if len(part) < len(seeds):
        words.append(f"{len(part)} of {len(seeds)} seeds")
    if timed_rate != rate:
        words.append(f"the steps at rate {timed_rate:g}")
    return f"scaled from {' and '.join(words)}" if words else ""


def _train(torch, start, exponent, rate, steps, saved):
    rows, labels, hidden, output = start
    rows, labels = torch.tensor(rows), torch.tensor(labels)
    hidden = torch.nn.Parameter(torch.tensor(hidden.T).contiguous())
    output = torch.nn.Parameter(torch.tensor(output)[None])
    optimiser = torch.optim.SGD([hidden, output], lr=rate)
    generator = torch.Generator().manual_seed(0)

    def loss_on(inputs: Any, wanted: Any) -> Any:
        scores = torch.relu(inputs @ hidden)
        if exponent != 1:
            norms = torch.linalg.norm(hidden, dim=0)
            scores = torch.pow(scores, exponent) / torch.pow(norms, exponent - 1)
        outputs = (scores @ output.t())[:, 0]
        return torch.exp(-wanted * outputs).mean()

    losses, done = [], 0
    while done < steps:
        order = torch.randperm(len(rows), generator=generator)
        for batch in order.split(_BATCH)[: steps - done]:
            loss_on(rows[batch], labels[batch]).backward()
            optimiser.step()
            optimiser.zero_grad()
            done += 1
            if done in saved:
                with torch.no_grad():
                    losses.append(loss_on(rows, labels).item())
    return hidden.detach().numpy().T, output.detach().numpy()[0], losses
