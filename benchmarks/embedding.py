"""Texts per second of what an encoder can run in, and how near its vectors stay to fp32.

    python benchmarks/embedding.py [--data DIR] [--texts 96] [--model NAME] [--rounds 3]

The texts are cards: real ones from `DIR/cards.jsonl.gz` (default: `HFKG_TEST_DATA`), or else the
sample Hub's, each different one once. All ways take turns at every 32 texts, so that what else the
machine does slows them alike; of each part's rounds the quickest counts. The default call is
`SentenceTransformer.encode(texts)`; the ratio is to it, the cosine to it too, text by text. Seconds
of CPU are told besides, which a busy machine changes less.

ONNX Runtime is measured where `onnxruntime`, `onnx` and `onnxscript` are installed: hfkg does not
need them.
"""

import argparse
import copy
import gzip
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from hfkg_assets.features.embeddings import EmbeddingStore, embed
from hfkg_resources import text_encoder
from hfkg_resources.openvino_encoder import calibration_texts
from hfkg_resources.text_encoder import PACKAGED_MODEL, TextEncoder

Way = Callable[[Sequence[str]], np.ndarray]

PART = 32
"""Texts between turns: the default call's batch."""

HOPELESS = 3.0
"""A way that takes so many times the default call's time is measured once only."""

ROWS_OF_STORE = 20_000


def cards(folder: Path | None, texts: int) -> list[str]:
    """Different cards, drawn with a fixed seed."""
    if folder is None:
        return calibration_texts()[:texts]  # 76 are enough for a look
    with gzip.open(folder / "cards.jsonl.gz") as lines:
        every = sorted({json.loads(line)["card"] for line in lines})
    return [every[i] for i in np.random.default_rng(7).permutation(len(every))[:texts]]


def default_call(model: Any) -> Way:
    """What sentence-transformers does when nothing is said."""
    return lambda texts: model.encode(list(texts), normalize_embeddings=True)


def sorted_batches(model: Any, batch_tokens: int = 2_048) -> Way:
    """Our batches, with any model."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = np.empty((len(texts), model.get_embedding_dimension()), np.float32)
        counts = text_encoder._token_counts(model, texts)
        for batch in text_encoder._batches(counts, batch_tokens):
            vectors[batch] = model.encode(
                [texts[i] for i in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                convert_to_tensor=True,
            ).float()
        return vectors

    return encode


def dynamic_int8(model: Any) -> Any:
    """A copy whose linear layers torch quantizes as it goes."""
    changed = copy.deepcopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed[0].model = torch.ao.quantization.quantize_dynamic(
            changed[0].model, {torch.nn.Linear}, torch.qint8
        )
    return changed


def in_onnx(model: Any, folder: Path) -> Any:
    """A copy whose transformer runs in ONNX Runtime."""
    import onnxruntime

    changed = copy.deepcopy(model)
    transformer = changed[0].model
    features = changed.preprocess(["a text", "and another one, of more words than that"])
    names = list(changed.tokenizer.model_input_names)
    texts, tokens = torch.export.Dim("texts", min=1), torch.export.Dim("tokens", min=2)
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            transformer,
            (),
            str(path),
            kwargs={name: features[name] for name in names},
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_shapes={name: {0: texts, 1: tokens} for name in names},
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = [value.name for value in session.get_inputs()]

    def forward(**features: Any) -> dict[str, Any]:
        inputs = {name: features[name].numpy() for name in taken}
        return {"last_hidden_state": torch.from_numpy(session.run(None, inputs)[0])}

    transformer.forward = forward
    return changed


def ways(model: str, folder: Path) -> tuple[dict[str, Way], dict[str, float]]:
    """All ways by name, and the seconds that each took to get ready."""
    plain = TextEncoder(model=model)._loaded().model  # kept loaded: the cache holds only one
    built: dict[str, Callable[[], Way]] = {
        "default call": lambda: default_call(plain),
        "torch": lambda: sorted_batches(plain),
        "torch bf16": lambda: sorted_batches(copy.deepcopy(plain).bfloat16()),
        "torch int8": lambda: sorted_batches(dynamic_int8(plain)),
        "ONNX Runtime": lambda: sorted_batches(in_onnx(plain, folder)),
        **{
            backend: lambda backend=backend: sorted_batches(
                TextEncoder(model=model, backend=backend, converted=str(folder))._loaded().model
            )
            for backend in ("openvino", "openvino-int8")
        },
    }
    ready, seconds = {}, {}
    for name, build in built.items():
        started = time.perf_counter()
        try:
            ready[name] = build()
        except ImportError as missing:
            print(f"{name} is not measured: {missing.name or missing} is not installed", flush=True)
            continue
        seconds[name] = time.perf_counter() - started
    return ready, seconds


def of_the_store(folder: Path, width: int) -> dict[str, float]:
    """Seconds that the store takes for many texts: written, and found again."""

    class Free:
        """An encoder that costs nothing."""

        dimension = width

        def encode(self, texts: list[str], progress: object = None) -> np.ndarray:
            return np.random.default_rng(7).random((len(texts), width), dtype=np.float32)

    texts = pl.Series([f"text number {i}, " + "word " * 200 for i in range(ROWS_OF_STORE)])
    store = EmbeddingStore(folder / "store", width)
    seconds = {}
    for name in ("store_write_s", "store_reuse_s"):
        started = time.perf_counter()
        result = embed(texts, Free(), store)
        seconds[name] = round(time.perf_counter() - started, 2)
    if result.reused != ROWS_OF_STORE:
        raise AssertionError(f"{result.reused} of {ROWS_OF_STORE} vectors were found again")
    return seconds


def main() -> None:
    """Measures all ways in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("HFKG_TEST_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--model", default=PACKAGED_MODEL)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = cards(options.data, options.texts)

    with tempfile.TemporaryDirectory() as name:
        ready, preparation = ways(options.model, Path(name))
        parts = [texts[start : start + PART] for start in range(0, len(texts), PART)]
        best, cpu = (np.full((len(ready), len(parts)), np.inf) for _ in range(2))
        vectors: dict[str, list[np.ndarray]] = {way: [] for way in ready}
        for round_ in range(options.rounds):
            for i, part in enumerate(parts):
                for row, (way, encode) in enumerate(ready.items()):
                    if best[row, i] > HOPELESS * best[0, i] and round_:
                        continue
                    if not round_ and not i:
                        encode(part[:8])  # kernels and memory are made ready
                    wall, busy = time.perf_counter(), time.process_time()
                    made = encode(part)
                    best[row, i] = min(best[row, i], time.perf_counter() - wall)
                    cpu[row, i] = min(cpu[row, i], time.process_time() - busy)
                    if not round_:
                        vectors[way].append(made)
            print(f"round {round_ + 1} of {options.rounds} is done", flush=True)
        exact = np.concatenate(vectors["default call"])
        of_store = of_the_store(Path(name), exact.shape[1])

    figures = {}
    for row, way in enumerate(ready):
        made = np.concatenate(vectors[way])
        cosine = (made * exact).sum(axis=1) / np.linalg.norm(made, axis=1)
        seconds = best[row].sum()
        figures[way] = {
            "texts_per_s": round(len(texts) / seconds, 1),
            "speedup": round(best[0].sum() / seconds, 2),
            "cpu_ms": round(1_000 * cpu[row].sum() / len(texts)),
            "cosine_min": round(float(cosine.min()), 4),
            "cosine_mean": round(float(cosine.mean()), 4),
            "ready_s": round(preparation[way], 1),
        }
    print(f"\n{options.model}, {len(texts)} {'real' if options.data else 'sample'} cards\n")
    print("| | texts/s | × default | ms of CPU | cosine, least | mean | ready after, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for way, values in figures.items():
        print(f"| {way} | {' | '.join(f'{value:g}' for value in values.values())} |")
    print(f"\nthe store, {ROWS_OF_STORE:,} texts of 1 KB: {of_store}\n")
    print(json.dumps({"texts": len(texts), "model": options.model, "ways": figures, **of_store}))


if __name__ == "__main__":
    main()
