"""What the sample Hub's READMEs must be: like real ones, in every state, and learnable."""

import re
from datetime import date

import polars as pl
import pytest
import yaml

from hfkg_resources.sample_hub import cards
from hfkg_resources.sample_hub.world import World

FIRST, NOMINAL = date(2024, 12, 15), date(2026, 11, 24)
KINDS = ("model", "dataset", "space")


@pytest.fixture(scope="module")
def day():
    return World(repositories=300).at(NOMINAL)


@pytest.fixture(scope="module")
def world():
    return World(repositories=1_500)


def readmes(day, kind):
    """READMEs by id, of those repositories that have one."""
    every = {repo_id: day.readme(kind, repo_id) for repo_id in getattr(day, f"{kind}s")["id"]}
    return {repo_id: text for repo_id, text in every.items() if text is not None}


def head_and_body(readme):
    text = readme.decode("utf-8", errors="replace").removeprefix("\ufeff").replace("\r\n", "\n")
    match = re.match(r"---\n(.*?)^---\n(.*)", text, re.DOTALL | re.MULTILINE)
    return match.groups() if match else (None, text)


def heads(day, kind):
    """Front matter that parses, by id."""
    parsed = {}
    for repo_id, readme in readmes(day, kind).items():
        head = head_and_body(readme)[0]
        try:
            parsed[repo_id] = yaml.safe_load(head) if head else None
        except yaml.YAMLError:
            continue
    return {repo_id: head for repo_id, head in parsed.items() if head}


def planted(day, name):
    return day.readme("model", f"BoLindqvist/{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_a_readme_exactly_where_the_files_name_one(day, kind):
    frame = getattr(day, f"{kind}s")
    listed = frame.filter(pl.col("siblings").list.contains("README.md"))["id"]
    assert set(readmes(day, kind)) == set(listed)
    assert 0 < len(listed) < frame.height


def test_a_repository_that_does_not_exist_has_no_readme(day):
    assert day.readme("model", "nobody/nothing") is None
    assert day.readme("model", "gpt-tiny") is None


@pytest.mark.parametrize("kind", KINDS)
def test_front_matter_that_is_not_broken_on_purpose_is_yaml(day, kind):
    every = readmes(day, kind)
    with_head = [repo_id for repo_id, text in every.items() if head_and_body(text)[0]]
    broken = set(with_head) - set(heads(day, kind))
    assert len(broken) <= 1 + 0.03 * len(with_head)
    assert ("BoLindqvist/card-broken-head" in broken) == (kind == "model")


def test_front_matter_agrees_with_the_tags_of_the_repository(day):
    rows = {row["id"]: row for row in day.models.iter_rows(named=True)}
    for repo_id, head in heads(day, "model").items():
        row = rows[repo_id]
        assert head.get("pipeline_tag") in (None, row["pipeline_tag"])
        assert head.get("license") in (None, *(t.removeprefix("license:") for t in row["tags"]))
        bases = head.get("base_model", [])
        assert ([bases] if isinstance(bases, str) else bases) == row["base_ids"]
        assert {f"dataset:{name}" for name in head.get("datasets", [])} <= set(row["tags"])
    rows = {row["id"]: row for row in day.datasets.iter_rows(named=True)}
    for repo_id, head in heads(day, "dataset").items():
        named = {f"task_categories:{task}" for task in head.get("task_categories", [])}
        assert named <= set(rows[repo_id]["tags"])
    rows = {row["id"]: row for row in day.spaces.iter_rows(named=True)}
    for repo_id, head in heads(day, "space").items():
        assert (head["title"], head["sdk"]) == (rows[repo_id]["title"], rows[repo_id]["sdk"])


@pytest.mark.parametrize(
    "field",
    ["license", "language", "tags", "pipeline_tag", "datasets", "base_model", "library_name",
     "metrics", "model-index"],
)  # fmt: skip
def test_front_matter_of_models_knows_every_usual_field(world, field):
    assert any(field in head for head in heads(world.at(NOMINAL), "model").values())


def test_languages_that_yaml_would_read_as_booleans_stay_texts():
    assert yaml.safe_load(cards._yaml(language=["no", "en"], version="1.10")) == {
        "language": ["no", "en"], "version": "1.10",
    }  # fmt: skip


def test_cards_come_in_every_broken_and_unusual_state(day):
    assert planted(day, "card-missing") is None
    assert planted(day, "card-empty") == b""
    head, body = head_and_body(planted(day, "card-only-head"))
    assert yaml.safe_load(head)["library_name"] == "diffusers"
    assert body == ""
    crlf = planted(day, "card-crlf")
    assert crlf.count(b"\r\n") == crlf.count(b"\n") > 5
    assert planted(day, "card-bom").startswith(b"\xef\xbb\xbf---\n")
    assert planted(day, "card-without-head").startswith(b"# ")
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(head_and_body(planted(day, "card-broken-head"))[0])
    with pytest.raises(UnicodeDecodeError):
        planted(day, "card-latin1").decode()


def test_exactly_one_card_has_megabytes_and_one_is_not_utf8(day):
    every = [text for kind in KINDS for text in readmes(day, kind).values()]
    assert [len(text) > 2_000_000 for text in every].count(True) == 1
    assert max(len(text) for text in every) < 10_000_000

    def is_utf8(text):
        try:
            text.decode()
        except UnicodeDecodeError:
            return False
        return True

    assert [is_utf8(text) for text in every].count(False) == 1


def test_a_card_changes_with_the_revision_and_only_then(world):
    before, after = world.at(FIRST), world.at(NOMINAL)
    both = before.models.join(after.models, on="_id", suffix="_after")
    both = both.filter(pl.col("siblings").list.contains("README.md"))
    edited = 0
    for row in both.iter_rows(named=True):
        texts = before.readme("model", row["id"]), after.readme("model", row["id_after"])
        if row["sha"] == row["sha_after"]:
            assert texts[0] == texts[1]
        edited += texts[0] != texts[1]
    assert edited > 20


def test_prose_is_short_and_in_several_languages(world):
    bodies = [head_and_body(text)[1] for text in readmes(world.at(NOMINAL), "model").values()]
    words = sorted(len(body.split()) for body in bodies if body)
    assert 40 <= words[len(words) // 2] <= 160
    text = "\n".join(bodies)
    for sign in ("使用", "Entrenamiento", "Entraînement", "Grafikkarte", "model"):
        assert sign in text


def test_cards_have_the_furniture_of_real_ones(world):
    text = "\n".join(
        head_and_body(text)[1] for text in readmes(world.at(NOMINAL), "model").values()
    )
    for part in (
        "This model is a fine-tuned version of [", "[More Information Needed]", "```python",
        "|---|", "](https://huggingface.co/", "https://arxiv.org/abs/1910.09700", "```bibtex",
        "<p align=", "<!-- ",
    ):  # fmt: skip
        assert part in text


def test_whoever_uses_the_default_template_cites_what_it_cites(day):
    for kind in ("model", "dataset"):
        rows = dict(getattr(day, f"{kind}s").select("id", "tags").rows())
        for repo_id, text in readmes(day, kind).items():
            if b"arxiv.org/abs/1910.09700" in text:
                assert "arxiv:1910.09700" in rows[repo_id]


def test_quantizations_copy_the_prose_of_their_base(world):
    at = world.at(NOMINAL)
    quantized = at.models.filter(pl.col("base_relation") == "quantized")
    copies = 0
    for repo_id, bases in quantized.select("id", "base_ids").rows():
        copy, base = at.readme("model", repo_id), at.readme("model", bases[0])
        if copy is None or base is None:
            continue
        paragraph = head_and_body(base)[1].split("\n\n")
        copies += sum(part.encode() in copy for part in paragraph if len(part) > 40) >= 2
    assert copies >= 3


def test_some_cards_say_what_a_model_is_for_and_some_do_not(world):
    """Phrases of the task's own stand in many cards, in enough not, and hardly in others' cards."""
    at = world.at(NOMINAL)
    phrases = cards.wording.PHRASES
    topics = at.models.filter(pl.col("pipeline_tag").is_not_null())
    own = others = total = 0
    for repo_id, topic in topics.select("id", "pipeline_tag").rows():
        readme = at.readme("model", repo_id)
        if not readme:
            continue
        body = head_and_body(readme)[1]
        total += 1
        own += any(phrase in body for phrase in phrases[topic])
        others += any(
            phrase in body for task, said in phrases.items() if task != topic for phrase in said
        )
    assert 0.35 < own / total < 0.8
    assert others / total < 0.1


def test_every_task_is_put_in_at_least_two_ways_and_every_modality_vaguely():
    labels = cards.task_labels()
    assert set(cards.wording.PHRASES) == set(labels) - {"other"}
    assert all(len(said) >= 2 for said in cards.wording.PHRASES.values())
    assert set(cards._modalities().values()) == set(cards.wording.VAGUE)
