"""What docs/retrieval.md says is true: its example runs, its numbers are those of the code."""

import re
from pathlib import Path

from hfkg_assets.retrieval import approximate_index, excerpts, search, similar, word_index
from hfkg_assets.retrieval.facts import MODEL_SIZES
from hfkg_assets.retrieval.filters import COLUMNS
from hfkg_assets.retrieval.ranking import RRF_K
from hfkg_assets.retrieval.reranking import WEIGHTS

PAGE = (Path(__file__).parents[2] / "docs" / "retrieval.md").read_text(encoding="utf-8")


def test_the_example_runs_and_finds_something(indexed, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    example = example.replace('"HFKG_ROOT": "data"', f'"HFKG_ROOT": {indexed.root!r}')
    names = {}
    exec(example.replace("2024, 1, 1", "2020, 1, 1"), names)
    assert "1 acme/ear-7B" in capsys.readouterr().out
    assert names["alike"].hits
    assert names["tree"].descendant_count == 2
    assert "hfkg run --job train" in names["bases"].notes[0]


def test_the_numbers_it_tells_are_those_of_the_code():
    told = " ".join(PAGE.split())
    for sentence in (
        f"`words` (BM25, k1 = {word_index.K1}, b = {word_index.B})",
        f"**Rankings**, {search.DEPTH} deep each",
        f"weight / ({RRF_K} + rank); weights are {WEIGHTS.words:g}, {WEIGHTS.meaning:g}, "
        f"{WEIGHTS.feedback:g} and {WEIGHTS.name:g}",
        f"**Reranking** of the best {search.POOL}",
        f"up to {WEIGHTS.popularity:.0%}".replace("%", " %") + " for popularity",
        f"up to {WEIGHTS.likes:.0%}".replace("%", " %") + " each",
        f"keeps {WEIGHTS.derived:.0%}".replace("%", " %"),
        f"more than {search.LONGEST_QUESTION:,} characters",
        f"of more than {search.MOST_WORDS} words",
        f"at most {excerpts.LONGEST} characters",
        f"from {approximate_index.FROM_DOCUMENTS:,} documents on",
        f"more than {similar.MOST:,} of a kind",
    ):
        assert sentence in told, sentence
    assert WEIGHTS.likes == WEIGHTS.use


def test_every_filter_and_size_is_told():
    for name in (*COLUMNS, "since", "until"):
        assert f"`{name}`" in PAGE
    for _, size in MODEL_SIZES:
        assert f"`{size}`" in PAGE
