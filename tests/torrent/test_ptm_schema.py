"""PTMTorrent's schema: what is written is valid by it, filled in, and numbered for good."""

import json
from datetime import UTC, datetime

import jsonschema
import polars as pl
import pytest

from hfkg_assets.torrent.ptm_schema import (
    PTM_SCHEMA,
    architectures,
    dois_of,
    hub_metadata,
    ptm_record,
    stable_id,
)

VALID = jsonschema.Draft202012Validator(PTM_SCHEMA)
MODEL = {"id": "ada/tarn", "hub_id": "6" * 24, "sha": "a" * 40, "pipeline_tag": "summarization"}


def record(model=MODEL, **known):
    nothing = {"datasets": (), "papers_of_dataset": {}, "dois": (), "architecture": None}
    return ptm_record(model, **{**nothing, **known})


def test_the_rules_are_a_schema():
    jsonschema.Draft202012Validator.check_schema(PTM_SCHEMA)


def test_a_model_of_which_all_is_known_is_valid_and_has_every_field():
    made = record(
        datasets=["ada/birds", "squad"],
        papers_of_dataset={"squad": "10.48550/arXiv.1606.05250"},
        dois=["10.48550/arXiv.2301.00001"],
        architecture="llama",
    )
    VALID.validate(made)
    assert set(made) == set(PTM_SCHEMA["properties"])
    own, bare = made["Datasets"]
    assert own == {
        "DatasetName": "birds", "DatasetOwner": "ada",
        "DatasetURL": "https://huggingface.co/datasets/ada/birds",
        "DatasetOwnerURL": "https://huggingface.co/ada",
    }  # fmt: skip
    assert bare["DatasetPaperDOI"] == "10.48550/arXiv.1606.05250"
    assert (bare["DatasetOwner"], bare["DatasetName"]) == ("huggingface", "squad")


@pytest.mark.parametrize("id", ["ada/tarn", "gpt-tiny", 'odd/"n\n文'])
def test_a_model_of_which_little_is_known_is_valid_without_empty_fields(id):
    made = record({**MODEL, "id": id, "hub_id": None, "pipeline_tag": None})
    VALID.validate(made)
    assert set(made) == set(PTM_SCHEMA["required"])
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("field", PTM_SCHEMA["required"])
def test_the_rules_want_what_ptmtorrent_wants(field):
    made = record()
    del made[field]
    with pytest.raises(jsonschema.ValidationError, match=field):
        VALID.validate(made)


def test_the_rules_want_no_empty_lists_and_a_number_for_the_metadata():
    for field in ("Datasets", "ModelPaperDOIs"):
        assert not VALID.is_valid({**record(), field: []})
    hub = {**record()["ModelHub"], "MetadataObjectID": "6"}
    assert not VALID.is_valid({**record(), "ModelHub": hub})


def test_a_number_stays_when_a_model_is_renamed_and_fits_a_float():
    assert record()["id"] == record({**MODEL, "id": "noor/tarn"})["id"]
    numbers = [stable_id(f"{number:024x}") for number in range(2_000)]
    assert len(set(numbers)) == 2_000
    assert all(0 <= number < 2**53 and int(float(number)) == number for number in numbers)


def test_papers_are_those_tagged_and_those_cited_but_not_a_templates():
    models = pl.LazyFrame({"id": ["a/a", "b/b"], "tags": [["doi:10.57967/hf/1", "en"], []]})
    citations = pl.LazyFrame(
        {
            "subject_id": ["a/a", "b/b", "b/b"],
            "object_id": ["2301.00001", "2301.00002", "1910.09700"],
            "is_boilerplate": [False, None, True],
        }
    )
    found = dict(dois_of(models, citations).collect().iter_rows())
    assert found == {
        "a/a": ["10.48550/arXiv.2301.00001", "10.57967/hf/1"],
        "b/b": ["10.48550/arXiv.2301.00002"],
    }


def test_the_architecture_is_read_from_configurations_that_can_be_read(tmp_path):
    contents = {
        "typed": '{"model_type": "bert", "architectures": ["BertModel"]}',
        "classed": '{"architectures": ["TarnForCausalLM"]}',
        "none": "{}",
        "list": "[]",
        "torn": '{"model_type": "be',
        "odd": '{"model_type": 7, "architectures": null}',
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    configs = pl.LazyFrame({"id": [*contents, "gone"], "place": [*contents, "gone"]})
    assert architectures(configs, tmp_path) == {"typed": "bert", "classed": "TarnForCausalLM"}


def test_the_metadata_beside_have_the_hubs_names_and_the_files():
    made = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    metadata = hub_metadata(
        pl.LazyFrame(
            {
                "rank": [1], "id": ["ada/tarn"], "hub_id": ["6" * 24], "sha": ["a" * 40],
                "downloads": [7], "gated": ["false"], "disabled": [False],
            }
        ),
        pl.LazyFrame(
            {
                "id": ["ada/tarn"], "tags": [["en"]], "likes": [3], "lastModified": [made],
                "private": [False], "pipeline_tag": [None], "library_name": ["peft"],
            }
        ),
        pl.LazyFrame({"id": ["ada/tarn"], "license": ["mit"], "languages": [["en"]]}),
        pl.LazyFrame(
            {
                "id": ["ada/tarn"], "path": ["config.json"], "bytes": [2], "git_oid": ["b" * 40],
                "sha256": [None],
            }
        ),
        pl.LazyFrame({"id": ["ada/tarn"], "datasets": [["squad"]]}),
        {"ada/tarn": "bert"},
    )  # fmt: skip
    (told,) = json.loads(metadata.write_json())
    assert told["MetadataObjectID"] == record()["ModelHub"]["MetadataObjectID"]
    assert (told["_id"], told["modelId"], told["author"]) == ("6" * 24, "ada/tarn", "ada")
    assert told["lastModified"] == "2026-01-02T03:04:05.678Z"
    assert told["cardData"] == {"license": "mit", "datasets": ["squad"], "language": ["en"]}
    assert told["config"] == {"model_type": "bert"}
    assert told["siblings"] == [
        {"rfilename": "config.json", "size": 2, "blob_id": "b" * 40, "lfs": None}
    ]
