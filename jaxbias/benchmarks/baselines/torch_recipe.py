"""The papers' recipe in PyTorch: mini-batch SGD on the mean loss, one thread."""

import importlib

import numpy as np

from jaxbias.benchmarks.flows import Flow
from jaxbias.benchmarks.prepared import Answer, Prepared, Trained

CHOSEN = None
#: The published rate is the last and slowest.
LADDERS = (tuple({"rate": rate} for rate in (0.8, 0.4, 0.2)),)
_BATCH = 100


def prepare(workload: Flow, seeds: tuple[int, ...], setting: dict) -> Prepared:
    """Ready tensors; data loading is not timed."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    problems = workload.problems(seeds, "float32")
    start = [
        np.asarray(leaf)
        for leaf in (
            problems.dataset.inputs,
            problems.dataset.labels,
            problems.initial.hidden,
            problems.initial.output,
        )
    ]
    steps = round(workload.horizon / setting["rate"])

    def run() -> Answer:
        ends = [
            _train(torch, one, workload.exponent, setting["rate"], steps)
            for one in zip(*start, strict=True)
        ]
        hidden, output = map(np.stack, zip(*ends, strict=True))
        finished = bool(np.isfinite(hidden).all() and np.isfinite(output).all())
        evaluations = steps * _BATCH / workload.samples
        return Answer(Trained(hidden, output), finished, evaluations)

    return Prepared(run)


def _train(torch, start, exponent, rate, steps):
    rows, labels, hidden, output = start
    rows, labels = torch.tensor(rows), torch.tensor(labels)
    hidden = torch.nn.Parameter(torch.tensor(hidden.T).contiguous())
    output = torch.nn.Parameter(torch.tensor(output)[None])
    optimiser = torch.optim.SGD([hidden, output], lr=rate)
    generator = torch.Generator().manual_seed(0)
    while steps > 0:
        order = torch.randperm(len(rows), generator=generator)
        for batch in order.split(_BATCH)[:steps]:
            scores = torch.relu(rows[batch] @ hidden)
            if exponent != 1:
                norms = torch.linalg.norm(hidden, dim=0)
                scores = torch.pow(scores, exponent) / torch.pow(norms, exponent - 1)
            outputs = (scores @ output.t())[:, 0]
            loss = torch.exp(-labels[batch] * outputs).mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            steps -= 1
    return hidden.detach().numpy().T, output.detach().numpy()[0]
