"""Node features: which columns hold what, and that rows belong together."""

import polars as pl
import pytest

from hfkg_assets.features.node_features import node_features


def part(name: str, width: int, ids: list[str], variant: str = "clean") -> pl.LazyFrame:
    values = [[float(i * 10 + j) for j in range(width)] for i in range(len(ids))]
    return pl.LazyFrame({"kind": "model", "id": ids, "variant": variant}).with_columns(
        pl.Series(name, values, dtype=pl.Array(pl.Float32, width))
    )


def test_parts_are_put_side_by_side_and_the_column_map_says_where() -> None:
    frame, columns = node_features(
        {"embedding": part("embedding", 3, ["a", "b"]), "bm25": part("bm25", 2, ["a", "b"])}
    )
    assert columns == {"embedding": range(0, 3), "bm25": range(3, 5)}
    assert frame["features"].to_list() == [[0, 1, 2, 0, 1], [10, 11, 12, 10, 11]]
    assert frame["features"].dtype == pl.Array(pl.Float32, 5)


def test_rows_are_matched_by_id_and_not_by_place() -> None:
    frame, _ = node_features(
        {"embedding": part("embedding", 1, ["b", "a"]), "bm25": part("bm25", 1, ["a", "b"])}
    )
    assert frame["id"].to_list() == ["a", "b"]
    assert frame["features"].to_list() == [[10, 0], [0, 10]]


def test_each_text_variant_has_rows_of_its_own_in_one_order() -> None:
    def both(name: str, *variants: str) -> pl.LazyFrame:
        return pl.concat([part(name, 1, ["a", "b"], variant) for variant in variants])

    frame, _ = node_features(
        {
            "embedding": both("embedding", "clean", "as_published"),
            "bm25": both("bm25", "as_published", "clean"),
        }
    )
    assert frame.columns == ["variant", "kind", "id", "features"]
    assert frame["variant"].to_list() == ["as_published"] * 2 + ["clean"] * 2
    assert frame["id"].to_list() == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    "other", [part("bm25", 1, ["a", "c"]), part("bm25", 1, ["a", "b"], variant="as_published")]
)
def test_parts_of_other_documents_or_variants_are_refused(other: pl.LazyFrame) -> None:
    with pytest.raises(ValueError, match="different documents or text variants"):
        node_features({"embedding": part("embedding", 1, ["a", "b"]), "bm25": other})
