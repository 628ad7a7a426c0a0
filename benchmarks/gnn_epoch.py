"""One training epoch at the size of HuggingfaceKG-retriever's graph: hfkg, plain PyG, the floor.

    .venv/bin/python benchmarks/gnn_epoch.py [--nodes N] [--edges E] [--epochs K] [--threads T]

An epoch is a full-batch forward pass, binary cross-entropy, backward pass, AdamW step, and micro-F1
of the validation nodes. Plain PyG is the retriever's `train_graph.py`: two convolutions (GCNConv,
SAGEConv, GATv2Conv with 8 heads, TransformerConv with one-hot edge types), ReLU and dropout between
them. hfkg's networks are measured twice: `bare`, the same two convolutions, whose results equal
PyG's (tests/classification/test_networks.py), and as they are trained, with residual maps and layer
normalisation.

The floor is the time of the dense products that training the network takes at any rate: of the
first layer forward and for the weights' gradient, of the second also for the rows' gradient.

Each contender runs in a process of its own, since hfkg changes how the C library keeps memory.
Seconds are the median epoch's; CPU seconds stand beside, for a busy machine makes the former long.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

FEATURES, TASKS, HIDDEN, HEADS, RELATIONS, DROPOUT = 822, 54, 256, 8, 5, 0.5
TRAINED, VALIDATED = 0.906, 0.074
"""Shares of nodes in the retriever's time split."""

MAPS = {"mlp": 1, "gcn": 1, "sage": 2, "gat": 2, "transformer": 4}
"""Linear maps per convolution, without a residual one."""
RESIDUAL = ("gcn", "gat")
"""Networks whose convolutions have a residual map only as hfkg trains them."""


class Data:
    """Random features, labels and a graph as skewed as HuggingKG's: half of all nodes have one
    edge, a hub has a tenth of all."""

    def __init__(self, nodes: int, edges: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(nodes, FEATURES, generator=generator)
        popularity = torch.arange(1, nodes + 1).float() ** -1.1
        labels = torch.arange(1, TASKS + 1).float() ** -1.2
        self.y = torch.zeros(nodes, TASKS)
        self.y[torch.arange(nodes), torch.multinomial(labels, nodes, True, generator=generator)] = 1
        # Every node is derived from another, some from two or more.
        more = torch.randint(nodes, (max(0, edges - nodes),), generator=generator)
        derived = torch.cat([torch.randperm(nodes, generator=generator), more])[:edges]
        base = torch.multinomial(popularity, edges, True, generator=generator)
        base = torch.randperm(nodes, generator=generator)[base]
        kind = torch.randint(RELATIONS, (edges,), generator=generator)
        one_way = torch.stack([base, derived])
        self.edge_index = torch.cat([one_way, one_way.flip(0)], 1)
        self.edge_type = torch.cat([kind, kind + RELATIONS])
        part = torch.rand(nodes, generator=generator)
        self.train = part < TRAINED
        self.validation = (part >= TRAINED) & (part < TRAINED + VALIDATED)

    def __str__(self) -> str:
        degree = torch.bincount(self.edge_index[1], minlength=len(self.x)).float()
        return (
            f"{len(self.x):,} nodes × {FEATURES} features, {self.edge_index.shape[1] // 2:,} edges "
            f"both ways, {TASKS} labels, hidden {HIDDEN}; degree: median {degree.median():.0f}, "
            f"mean {degree.mean():.2f}, 90th percentile {degree.quantile(0.9):.0f}, "
            f"highest {degree.max():,.0f}"
        )


def micro_f1(logits: Tensor, truth: Tensor) -> float:
    predicted, truth = logits > 0, truth > 0.5
    hits = (predicted & truth).sum().item()
    return 2 * hits / max(1, predicted.sum().item() + truth.sum().item())


def step(optimizer: torch.optim.Optimizer, logits: Tensor, truth: Tensor) -> None:
    optimizer.zero_grad()
    nn.functional.binary_cross_entropy_with_logits(logits, truth).backward()
    optimizer.step()


# --- the contenders: each gives a function that runs an epoch ----------------------------------


def plain(name: str, data: Data) -> Callable[[], object]:
    """The retriever's way, by PyTorch Geometric's convolutions."""
    from torch_geometric import nn as pyg

    extra: dict[str, Tensor] = {}
    match name:
        case "mlp":
            convolutions = [nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, TASKS)]
        case "gcn":
            convolutions = [pyg.GCNConv(FEATURES, HIDDEN), pyg.GCNConv(HIDDEN, TASKS)]
        case "sage":
            convolutions = [pyg.SAGEConv(FEATURES, HIDDEN), pyg.SAGEConv(HIDDEN, TASKS)]
        case "gat":
            convolutions = [
                pyg.GATv2Conv(FEATURES, HIDDEN // HEADS, heads=HEADS, dropout=DROPOUT),
                pyg.GATv2Conv(HIDDEN, TASKS, dropout=DROPOUT),
            ]
        case "transformer":
            extra = {"edge_attr": nn.functional.one_hot(data.edge_type, 2 * RELATIONS).float()}
            convolutions = [
                pyg.TransformerConv(FEATURES, HIDDEN, edge_dim=2 * RELATIONS),
                pyg.TransformerConv(HIDDEN, TASKS, edge_dim=2 * RELATIONS),
            ]
    first, second = convolutions
    edges = () if name == "mlp" else (data.edge_index,)
    optimizer = torch.optim.AdamW([*first.parameters(), *second.parameters()], lr=1e-3)

    def forward(training: bool) -> Tensor:
        for convolution in convolutions:
            convolution.train(training)
        hidden = torch.relu(first(data.x, *edges, **extra))
        return second(nn.functional.dropout(hidden, DROPOUT, training), *edges, **extra)

    def epoch() -> float:
        step(optimizer, forward(True)[data.train], data.y[data.train])
        with torch.no_grad():
            return micro_f1(forward(False)[data.validation], data.y[data.validation])

    return epoch


def ours(name: str, data: Data, bare: bool) -> Callable[[], object]:
    """hfkg's networks."""
    from hfkg_assets.classification.networks import build_network
    from hfkg_assets.classification.training_data import Stage

    network = build_network(
        name,
        features=FEATURES,
        tasks=TASKS,
        relations=RELATIONS,
        node_kinds=2,
        hidden=HIDDEN,
        dropout=DROPOUT,
        skip=not bare,
        normalize=not bare,
    )
    everything = torch.ones(len(data.x), dtype=torch.bool)
    stage = Stage(data.edge_index, data.edge_type, everything, everything)
    kinds = torch.zeros(len(data.x), dtype=torch.int64)
    train = network.inputs(data.x, stage, kinds, data.train)
    validation = network.inputs(data.x, stage, kinds, data.validation)
    truth, judged = data.y[data.train], data.y[data.validation]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def epoch() -> float:
        network.train()
        step(optimizer, network(train), truth)
        network.eval()
        with torch.no_grad():
            return micro_f1(network(validation), judged)

    return epoch


def floor(name: str, data: Data, bare: bool) -> Callable[[], object]:
    """The dense products alone."""
    maps = MAPS[name] + (name in RESIDUAL and not bare)
    rows = len(data.x)
    hidden, logits = torch.randn(rows, HIDDEN), torch.randn(rows, TASKS)
    first, second = torch.randn(FEATURES, HIDDEN), torch.randn(HIDDEN, TASKS)

    def epoch() -> None:
        for _ in range(maps):
            torch.mm(data.x, first)
            torch.mm(data.x.t(), hidden)
            torch.mm(hidden, second)
            torch.mm(hidden.t(), logits)
            torch.mm(logits, second.t())

    return epoch


CONTENDERS: dict[str, Callable[[str, Data], Callable[[], object]]] = {
    "floor": lambda name, data: floor(name, data, bare=True),
    "bare": lambda name, data: ours(name, data, bare=True),
    "plain": plain,
    "trained_floor": lambda name, data: floor(name, data, bare=False),
    "trained": lambda name, data: ours(name, data, bare=False),
}


def measure(name: str, contender: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Median seconds of an epoch, on the clock and of the processor, in this process."""
    from hfkg_assets.classification.allocator import keep_freed_memory

    torch.set_num_threads(arguments.threads)
    if contender != "plain":
        keep_freed_memory()
    torch.manual_seed(0)
    run = CONTENDERS[contender](name, Data(arguments.nodes, arguments.edges))
    run()
    clock, processor = [], []
    for _ in range(arguments.epochs):
        started, used = time.perf_counter(), time.process_time()
        run()
        clock.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return {
        "seconds": statistics.median(clock),
        "cpu_seconds": statistics.median(processor),
    }


def in_own_process(name: str, contender: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, contender]
    for option in ("nodes", "edges", "epochs", "threads"):
        command += [f"--{option}", str(getattr(arguments, option))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(name: str, measured: dict[str, dict[str, float]]) -> dict[str, float]:
    """The figures of one network, rounded."""
    bare, trained = measured["bare"], measured["trained"]
    figures = {
        "seconds": bare["seconds"],
        "floor_seconds": measured["floor"]["seconds"],
        "ratio": bare["seconds"] / measured["floor"]["seconds"],
        "plain_seconds": measured["plain"]["seconds"],
        "speedup": measured["plain"]["seconds"] / bare["seconds"],
        "trained_seconds": trained["seconds"],
        "trained_floor_seconds": measured["trained_floor"]["seconds"],
        "trained_ratio": trained["seconds"] / measured["trained_floor"]["seconds"],
        **{f"{contender}_cpu_seconds": f["cpu_seconds"] for contender, f in measured.items()},
    }
    return {key: round(value, 3) for key, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=107_694)
    parser.add_argument("--edges", type=int, default=124_056)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--networks", nargs="+", choices=MAPS, default=list(MAPS))
    parser.add_argument("--measure", nargs=2, metavar=("NETWORK", "CONTENDER"))
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure, arguments)))
        return
    print(Data(arguments.nodes, arguments.edges))
    print(
        f"{arguments.threads} threads, median of {arguments.epochs} epochs; seconds (CPU seconds)"
    )
    print(f"{'':12}" + "".join(f"{contender:>20}" for contender in CONTENDERS))
    figures = {}
    for name in arguments.networks:
        measured = {c: in_own_process(name, c, arguments) for c in CONTENDERS}
        cells = (f"{m['seconds']:.3f} ({m['cpu_seconds']:.3f})" for m in measured.values())
        print(f"{name:12}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
        figures[name] = report(name, measured)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
