"""What a model says of itself, with what may hold the answer kept apart."""

import polars as pl

from hfkg_assets.tracing.evidence import EVIDENCE, model_facts
from hfkg_resources.table_schema import schema_of

MODELS = {
    "lab/Amber-7b": "",
    "gpt2": "",
    "me/first": "See [the base](https://huggingface.co/LAB/amber-7B) and https://hf.co/gpt2.",
    "me/second": "We trained amber-7b further.",
    "me/third": "Made from old-lab/Amber-7b, told by me/third itself.",
    "me/Amber-7b": "Amber-7b is my own name.",
    "me/silent": None,
}
DECLARED = {"me/first": ["lab/AMBER-7b", "gone/away"], "me/third": ["old-lab/Amber-7b"]}


def facts() -> pl.DataFrame:
    models = pl.DataFrame(
        {
            "id": list(MODELS),
            "created_at": [None] * len(MODELS),
            "library_name": ["peft"] * len(MODELS),
            "tasks": [["text-generation"]] * len(MODELS),
            "languages": [["en", "de"]] * len(MODELS),
            "license": [None] * len(MODELS),
            "other_tags": [["lora", "lora"]] * len(MODELS),
        }
    )
    documents = pl.DataFrame(
        {
            "id": list(MODELS)[:-1],
            "clean": [text or "" for text in list(MODELS.values())[:-1]],
            "as_published": list(MODELS.values())[:-1],
            "base_model": [DECLARED.get(name, []) for name in list(MODELS)[:-1]],
        }
    )
    aliases = pl.DataFrame(
        {"id": ["old-lab/Amber-7b", "gone/x"], "canonical_id": ["lab/Amber-7b", "gone/y"]}
    )
    return model_facts(models, documents, aliases, pl.Series(["lab/Amber-7b", "gpt2", "x/base"]))


def column(name: str) -> dict[str, object]:
    return dict(facts().select("id", name).iter_rows())


def test_every_model_has_one_row_in_their_order_whether_it_has_a_card_or_not():
    found = facts()
    assert found["id"].to_list() == list(MODELS)
    assert found.schema == schema_of(EVIDENCE)


def test_declared_bases_are_found_in_any_case_and_under_old_ids_and_unknown_ones_dropped():
    declared = column("declared")
    assert declared["me/first"] == ["lab/Amber-7b"]
    assert declared["me/third"] == ["lab/Amber-7b"]
    assert declared["me/silent"] == []


def test_models_that_the_readme_links_or_names_are_found_but_itself_is_not():
    named = column("named")
    assert named["me/first"] == ["gpt2", "lab/Amber-7b"]
    assert named["me/third"] == ["lab/Amber-7b"]
    assert named["me/second"] == []


def test_prose_with_the_name_of_a_base_is_marked_and_prose_with_its_own_name_is_not():
    marked = column("names_a_base")
    assert marked["me/second"] and marked["me/third"] and marked["me/first"]
    assert not marked["me/Amber-7b"]
    assert not marked["lab/Amber-7b"]


def test_configuration_is_of_the_structured_fields_each_token_once():
    tokens = column("config")["me/first"]
    assert tokens == [
        "library:peft", "task:text-generation", "language:en", "language:de", "tag:lora",
    ]  # fmt: skip


def test_an_id_without_a_slash_has_no_owner():
    assert column("owner")["gpt2"] is None
    assert column("name")["gpt2"] == "gpt2"
    assert column("owner")["lab/Amber-7b"] == "lab"
