"""The embedding store and what is embedded again: with the real model, but for interruptions."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hfkg_assets.features import embeddings
from hfkg_assets.features.embeddings import EmbeddingStore, embed, store_of
from hfkg_resources.text_encoder import TextEncoder
from hfkg_resources.warehouse import Warehouse

REPOSITORY = Path(__file__).parents[2]
TEXTS = pl.Series(["a cat", "a dog", None, "a cat", "  ", "a bird"], dtype=pl.String)


class Counting:
    """A real encoder that remembers what it was asked, and may be interrupted."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.encoder = TextEncoder()
        self.asked: list[str] = []
        self.stop_after = stop_after

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    def encode(self, texts: list[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
        if self.stop_after is not None and len(self.asked) + len(texts) > self.stop_after:
            raise KeyboardInterrupt
        self.asked += texts
        return self.encoder.encode(texts, progress)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "store", TextEncoder().dimension)


def test_equal_texts_are_embedded_once_and_texts_without_content_get_a_zero_vector(
    store: EmbeddingStore,
) -> None:
    encoder = Counting()
    result = embed(TEXTS, encoder, store)
    assert sorted(encoder.asked) == ["a bird", "a cat", "a dog"]
    assert (result.encoded, result.reused) == (3, 0)
    np.testing.assert_array_equal(result.vectors[0], result.vectors[3])
    assert not result.vectors[[2, 4]].any()
    expected = TextEncoder().encode(["a dog", "a bird"])
    np.testing.assert_allclose(result.vectors[[1, 5]], expected, atol=1e-5)


def test_the_next_date_reuses_what_it_shares_and_embeds_only_what_is_new(
    store: EmbeddingStore,
) -> None:
    first = embed(TEXTS, Counting(), store)
    encoder = Counting()
    second = embed(pl.Series(["a horse", "a dog", "a cat"]), encoder, store)
    assert encoder.asked == ["a horse"]
    assert (second.encoded, second.reused) == (1, 2)
    np.testing.assert_array_equal(second.vectors[1:], first.vectors[[1, 0]])


def test_an_interrupted_run_goes_on_where_it_was(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "SHARD_TEXTS", 2)
    texts = pl.Series([f"text number {i}" for i in range(7)])
    interrupted = Counting(stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        embed(texts, interrupted, store)
    resumed = Counting()
    result = embed(texts, resumed, store)
    assert sorted(interrupted.asked + resumed.asked) == texts.to_list()
    assert (result.encoded, result.reused) == (3, 4)
    np.testing.assert_allclose(result.vectors, TextEncoder().encode(texts.to_list()), atol=1e-5)


STUCK = """
import sys, time
from pathlib import Path
import numpy as np, polars as pl
from hfkg_assets.features import embeddings

class Stuck:
    dimension = 384
    def encode(self, texts, progress=None):
        if "text number 4" in texts:
            print("stuck", flush=True)
            time.sleep(600)
        return np.ones((len(texts), 384), np.float32)

embeddings.SHARD_TEXTS = 2
texts = pl.Series([f"text number {i}" for i in range(7)])
embeddings.embed(texts, Stuck(), embeddings.EmbeddingStore(Path(sys.argv[1]), 384))
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_more_than_the_shard_that_it_was_at(
    store: EmbeddingStore,
) -> None:
    command = [sys.executable, "-c", STUCK, str(store.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        process.kill()
    encoder = Counting()
    texts = pl.Series([f"text number {i}" for i in range(7)])
    result = embed(texts, encoder, store)
    assert sorted(encoder.asked) == [f"text number {i}" for i in (4, 5, 6)]
    assert (result.encoded, result.reused) == (3, 4)


def test_half_a_shard_is_never_read(store: EmbeddingStore) -> None:
    embed(TEXTS, Counting(), store)
    (store.directory / ".0123.tmp").write_bytes(b"PAR1 torn")
    assert embed(TEXTS, Counting(), store).encoded == 0


def test_progress_is_logged_with_rate_and_time_to_go(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "PROGRESS_SECONDS", 0.0)
    lines: list[str] = []
    embed(TEXTS, TextEncoder(batch_tokens=1), store, lines.append)
    assert len(lines) == 3
    assert lines[-1].startswith("embedded 3 of 3 texts, ")


def test_each_encoder_has_a_store_of_its_own_under_the_warehouse(tmp_path: Path) -> None:
    warehouse = Warehouse(root=str(tmp_path))
    long, short = (store_of(warehouse, TextEncoder(max_tokens=n)).directory for n in (512, 32))
    assert long != short
    assert long.parent == short.parent == tmp_path / ".embeddings"
