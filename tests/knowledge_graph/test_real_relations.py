"""The relations that others took from real records come out of the same records here.

Records of the Hub are served as the Hub serves them, read by the crawler's own readers into raw
tables, and made into entities and relations. The result is compared with `edges.tsv.gz`, which was
derived from the same records by other means. Every difference is named, counted and explained in
`DIFFERENCES`; one more or one less of any, and a test fails.

The records stand beside the checkout, in `shared/data`, or where `HFKG_TEST_DATA` says; without
them these tests are skipped.
"""

import json
from pathlib import Path

import polars as pl
import pytest

from hfkg_assets.hub import listings
from hfkg_assets.hub import observations as raw
from hfkg_assets.hub.papers import crawl_papers
from hfkg_assets.knowledge_graph.entities import BUILDERS, build_entity
from hfkg_assets.knowledge_graph.relations import observe
from hfkg_assets.knowledge_graph.verification import STATUS_RANK, verify
from hfkg_assets.vocabulary import ENTITIES, LINEAGE, RELATIONS
from hfkg_resources.crawl import Crawl
from hfkg_resources.hub_client import HubClient
from hfkg_resources.sample_hub.server import serve
from hfkg_resources.scope import Scope
from hfkg_resources.table_schema import schema_of
from tests.hub.replay_hub import State, create_replay
from tests.hub.test_real_shapes import DATA, identified, read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no records in {DATA} (HFKG_TEST_DATA)"),
]

PAIR = ["subject_id", "object_id"]

BESIDE = "a task's tag beside pipeline_tag"
ALONE = "a task's tag without pipeline_tag"
AGAIN = "the same user twice"

DIFFERENCES = {
    ("hub2022", "model_definedFor_task", "card_yaml"): (
        1,
        "A card says `pipeline_tag: false`; the Hub shows token-classification all the same.",
    ),
    ("hub2022", "model_definedFor_task", BESIDE): (
        1_075,
        "The edges have a model's `pipeline_tag` alone. Here, as in HuggingKG, every tag that is a "
        "task counts: of these 671 are conversational models tagged text-generation.",
    ),
    ("hub2022", "model_definedFor_task", ALONE): (
        72,
        "As above, where the Hub shows no task: of these 47 are tagged multiple-choice and 21 "
        "reinforcement-learning.",
    ),
    ("hub2026", "model_definedFor_task", BESIDE): (
        717,
        "As in 2022; of these 195 are models for text generation tagged image-text-to-text.",
    ),
    ("hub2026", "model_definedFor_task", ALONE): (2, "As in 2022."),
    ("hub2022", "model_finetune_model", "card_text"): (
        1_497,
        "Read by the edges' makers in the sentence `This model is a fine-tuned version of` of the "
        "cards. In 2022 the Hub had no `base_model:` tags; prose is no assertion of the Hub's.",
    ),
    ("hub2022", "model_trainedOrFineTunedOn_dataset", "card_yaml"): (
        26,
        "All that eight cards name as `datasets`. Among them are names that are no ids, such as "
        "`Common Voice 8`, addresses and figures, and of such a list the Hub made no tag at all.",
    ),
    ("hub2022", "model_cite_paper", "card_text"): (
        24,
        "Links to arXiv in the card's text, 18 of them to a PDF, that the Hub made no tag of.",
    ),
    ("daily_papers", "user_publish_paper", AGAIN): (
        6,
        "Two authors of one paper are linked to the same user. Both are observed; verification "
        "rejects one as a duplicate, the edges have one.",
    ),
}
"""(origin, relation, kind of difference) → how many, and why.

Kinds of edges that are not observed here are their evidence; the others tell what is observed here
and no edge.
"""

NO_RELATION = {
    ("organization", "publish", "paper"): (
        1_939,
        "HuggingKG's thirty relations have none from an organization to a paper.",
    ),
    ("user", "submit", "paper"): (
        6_416,
        "Who submits a paper to the daily list need not have written it; HuggingKG has no such "
        "relation.",
    ),
    ("user", "affiliated_with", "organization"): (
        55,
        "Read in a paper's `submitterOrganization`. Here membership is what the organization's own "
        "list of members says, and no such list was recorded.",
    ),
}
"""Edges of these origins that no relation is made of here, or not of these records."""

OTHER_STATUS = {
    ("oliu-io", "2501.02045"): ("admin_assigned", "extracted_confirmed"),
    ("zhangysk", "2410.13854"): ("extracted_pending", "admin_assigned"),
}
"""Users linked to a paper twice with two statuses: the edges' status, and ours, the better one."""

PREDICATES = {
    "defined_for": "definedFor",
    "trained_or_finetuned_on": "trainedOrFineTunedOn",
    "affiliated_with": "affiliatedWith",
}
"""The edges' names of predicates, where they are not the vocabulary's."""

API_NAMES = {
    "created_at": "createdAt",
    "updated_at": "lastModified",
    "library": "library_name",
    "downloads_30d": "downloads",
}
"""Fields that the origin of 2026 has renamed → the API's."""


# --- raw records → raw tables ---------------------------------------------------------------------


def models_of(origin):
    """A Hub's model records by id, with the API's field names."""
    if origin == "hub2022":
        return {record["modelId"]: record for record in read("hub2022_models")}
    return {
        record["id"]: {API_NAMES.get(name, name): value for name, value in record.items()}
        # Which of the two gates it is was not kept.
        | {"gated": "auto" if record["gated"] else False}
        for record in read("hub2026_models")
    }


def vocabularies():
    """What the Hub answers about its tasks and tags."""
    known = json.loads((DATA / "tasks.json").read_bytes())
    tags = [{"id": task, "label": about["name"]} for task, about in known["pipelines"].items()]
    return {
        "/api/tasks": known["tasks"],
        "/api/models-tags-by-type": {"pipeline_tag": tags},
        "/api/datasets-tags-by-type": {},
    }


def crawled(folder: Path, state: State, *readers):
    """Serves a Hub and has the crawler read it; each reader makes a table of a crawl."""
    with serve(create_replay(lambda day: state)) as server, HubClient(server.url) as client:
        crawl = Crawl(client, Scope("all"), True, "2026-11-24", folder, 4)
        tables = [reader(crawl).collect().lazy() for reader in readers]
        assert sum(report.set_aside for report in crawl.reports) == 0
    return tables


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    listed = {entry["paper"]["id"]: entry["paper"] for entry in read("daily_papers")}
    state = State(lists={"/api/papers": list(listed.values())})
    nothing_cited = pl.LazyFrame(schema={"id": pl.String})
    (table,) = crawled(
        tmp_path_factory.mktemp("papers"),
        state,
        lambda crawl: crawl_papers(crawl, lambda: nothing_cited),
    )
    return table


@pytest.fixture(scope="module")
def accounts():
    """The accounts that records name with their kind, as `hub/accounts` has them."""
    known = pl.LazyFrame(read("users_orgs"), infer_schema_length=None)
    return empty(raw.ACCOUNTS).join(
        known.select(
            name="id",
            kind=pl.col("kind").replace({"organization": "org"}),
            **{column: column for column in ("_id", "fullname", "isPro")},
        ),
        on=["name", "kind", "_id", "fullname", "isPro"],
        how="full",
        coalesce=True,
    )


def empty(columns):
    return pl.LazyFrame(schema=schema_of(columns))


@pytest.fixture(scope="module")
def hubs(tmp_path_factory, papers, accounts):
    """Origin → raw tables by asset key; what an origin does not have is no relation's source."""
    found = {"daily_papers": {"hub/papers": papers}}
    for origin in ("hub2022", "hub2026"):
        state = State(lists={"/api/models": identified(models_of(origin))}, objects=vocabularies())
        names = ("hub/models", "hub/tasks", "hub/tags")
        tables = crawled(
            tmp_path_factory.mktemp(origin),
            state,
            lambda crawl: listings.list_repositories(crawl, "models", raw.MODELS),
            listings.tasks_table.rows,
            listings.tags_table.rows,
        )
        found[origin] = dict(zip(names, tables, strict=True))
    return found


@pytest.fixture(scope="module")
def entities(hubs, papers, accounts):
    """Origin → entity tables by type, of all that was recorded; the rest is empty."""
    shared = {
        "hub/papers": papers,
        "hub/accounts": accounts,
        "hub/followers": empty(raw.FOLLOWERS),
        "hub/members": empty(raw.MEMBERS),
        "hub/models": empty(raw.MODELS),
        "hub/datasets": empty(raw.DATASETS),
        "hub/spaces": empty(raw.SPACES),
        "hub/tasks": empty(raw.TASKS),
        "hub/tags": empty(raw.TAGS),
        "hub/collections": empty(raw.COLLECTIONS),
    }
    return {
        origin: {
            name: build_entity(entity, *({**shared, **tables}[t] for t in BUILDERS[name][1]))
            .collect()
            .lazy()
            for name, entity in ENTITIES.items()
        }
        for origin, tables in hubs.items()
    }


# --- the edges to compare with --------------------------------------------------------------------


def edges_as_they_are():
    return pl.scan_csv(DATA / "edges.tsv.gz", separator="\t", quote_char=None, infer_schema=False)


@pytest.fixture(scope="module")
def all_edges(hubs):
    """The edges of the served origins."""
    return edges_as_they_are().filter(pl.col("origin").is_in(list(hubs))).collect()


@pytest.fixture(scope="module")
def edges(all_edges):
    """The edges under the vocabulary's names and in its direction: a base is the subject."""
    names = pl.DataFrame(
        {
            "relation_here": relation.name,
            "subject_type": relation.subject,
            "predicate": relation.predicate,
            "object_type": relation.object,
            "is_lineage": relation.name in LINEAGE,
        }
        for relation in RELATIONS.values()
    )
    return (
        all_edges.with_columns(predicate=pl.col("relation").replace(PREDICATES))
        .join(names, on=["subject_type", "predicate", "object_type"])
        .select(
            "origin",
            "evidence",
            relation="relation_here",
            subject_id=pl.when("is_lineage").then("object").otherwise("subject"),
            object_id=pl.when("is_lineage").then("subject").otherwise("object"),
        )
    )


def readable(hubs):
    """Origin and relation, for all relations whose sources an origin has."""
    return [
        (origin, relation)
        for origin, tables in hubs.items()
        for relation in RELATIONS.values()
        if set(relation.sources) <= set(tables)
    ]


@pytest.fixture(scope="module")
def observed(hubs):
    """Origin and relation → the assertions observed."""
    return {
        (origin, relation.name): observe(relation, hubs[origin]).collect()
        for origin, relation in readable(hubs)
    }


def lacking(edges, assertions, origin, relation):
    """Edges that were not observed."""
    return edges.filter(origin=origin, relation=relation).join(assertions, on=PAIR, how="anti")


def beyond(edges, assertions, origin, relation):
    """Assertions that are no edge."""
    wanted = edges.filter(origin=origin, relation=relation)
    return assertions.join(wanted, on=PAIR, how="anti")


def kind_of(origin, relation, assertions):
    """What the assertions are that are no edge, told from the records themselves."""
    unexplained = assertions.with_columns(kind=pl.lit("unexplained"))
    if relation != "model_definedFor_task" or assertions.is_empty():
        return unexplained
    records = pl.DataFrame(
        [(name, row["pipeline_tag"], row["tags"]) for name, row in models_of(origin).items()],
        schema={"subject_id": pl.String, "pipeline_tag": pl.String, "tags": pl.List(pl.String)},
        orient="row",
    )
    is_tag = pl.col("tags").list.contains(pl.col("object_id"))
    place = pl.when(pl.col("pipeline_tag").is_null()).then(pl.lit(ALONE)).otherwise(pl.lit(BESIDE))
    return assertions.join(records, on="subject_id", how="left").with_columns(
        kind=pl.when(is_tag).then(place).otherwise(pl.lit("unexplained"))
    )


# --- tests ----------------------------------------------------------------------------------------


def test_what_is_observed_and_the_edges_are_equal_but_for_what_is_explained(edges, observed):
    found = {}
    for (origin, relation), assertions in observed.items():
        kinds = pl.concat(
            [
                lacking(edges, assertions, origin, relation)["evidence"],
                kind_of(origin, relation, beyond(edges, assertions, origin, relation))["kind"],
            ]
        )
        found |= {(origin, relation, kind): n for kind, n in kinds.value_counts().iter_rows()}
        if again := assertions.height - assertions.unique(PAIR).height:
            found[origin, relation, AGAIN] = again
    assert found == {key: count for key, (count, _) in DIFFERENCES.items()}


def test_every_edge_of_these_origins_is_compared_or_has_no_relation(all_edges, edges, observed):
    compared = edges.join(
        pl.DataFrame(list(observed), schema=["origin", "relation"], orient="row"),
        on=["origin", "relation"],
        how="semi",
    )
    left = {key: count for key, (count, _) in NO_RELATION.items()}
    kinds = all_edges.group_by("subject_type", "relation", "object_type").len()
    assert {row[:3]: row[3] for row in kinds.iter_rows() if row[:3] in left} == left
    assert compared.height == all_edges.height - sum(left.values())
    assert compared.height > 35_000


def test_entities_have_a_row_for_each_record_with_its_task_and_its_tags_sorted(hubs, entities):
    for origin in ("hub2022", "hub2026"):
        records = models_of(origin)
        models = entities[origin]["model"].collect()
        assert models["id"].to_list() == sorted(records)
        shown = [record["pipeline_tag"] for _, record in sorted(records.items())]
        assert models["pipeline_tag"].to_list() == shown
        licences = [
            next((t.removeprefix("license:") for t in record["tags"] if t[:8] == "license:"), None)
            for _, record in sorted(records.items())
        ]
        assert models["license"].to_list() == licences
    papers = {entry["paper"]["id"] for entry in read("daily_papers")}
    assert set(entities["daily_papers"]["paper"].collect()["id"]) == papers


def test_verified_are_exactly_the_edges_whose_both_ends_have_a_record(
    edges, observed, hubs, entities
):
    verified = 0
    for origin, relation in readable(hubs):
        assertions = observed[origin, relation.name]
        subjects, objects = (entities[origin][end] for end in (relation.subject, relation.object))
        kept, rejected = verify(relation, assertions.lazy(), subjects, objects, empty(raw.ALIASES))
        explained = beyond(edges, assertions, origin, relation.name).select(PAIR)
        wanted = (
            pl.concat([edges.filter(origin=origin, relation=relation.name).select(PAIR), explained])
            .join(subjects.select(subject_id="id").collect(), on="subject_id", how="semi")
            .join(objects.select(object_id="id").collect(), on="object_id", how="semi")
            .filter(pl.col("subject_id") != pl.col("object_id"))
            .join(lacking(edges, assertions, origin, relation.name), on=PAIR, how="anti")
        )
        assert kept.select(PAIR).sort(PAIR).equals(wanted.sort(PAIR)), (origin, relation.name)
        assert kept.height + rejected.height == assertions.height
        verified += kept.height
    assert verified > 20_000


def test_the_better_status_is_kept_where_a_user_is_linked_twice_and_else_the_edges_status(
    edges, observed, entities
):
    relation = RELATIONS["user_publish_paper"]
    of = entities["daily_papers"]
    assertions = observed["daily_papers", relation.name]
    kept, _ = verify(relation, assertions.lazy(), of["user"], of["paper"], empty(raw.ALIASES))
    status = pl.col("evidence").str.extract(r"([^:]+)$")
    wanted = edges.filter(relation=relation.name).select(*PAIR, status=status)
    both = wanted.join(kept.select(*PAIR, here="status"), on=PAIR)
    assert both.height == kept.height > 6_000
    other = both.filter(pl.col("status") != pl.col("here"))
    assert {(s, o): (edge, here) for s, o, edge, here in other.iter_rows()} == OTHER_STATUS
    assert all(STATUS_RANK[here] < STATUS_RANK[edge] for edge, here in OTHER_STATUS.values())


def test_raw_spaces_are_published_by_the_accounts_they_name_and_say_of_no_use(tmp_path, accounts):
    records = {record["id"]: record for record in read("spaces_raw2024")}
    state = State(lists={"/api/spaces": identified(records)})
    (spaces,) = crawled(
        tmp_path, state, lambda crawl: listings.list_repositories(crawl, "spaces", raw.SPACES)
    )
    tables = {"hub/spaces": spaces, "hub/accounts": accounts}
    entity = build_entity(ENTITIES["space"], spaces).collect()
    assert entity["id"].to_list() == sorted(records)
    assert entity["created_at"].null_count() == 0
    for relation, kind in (("user_publish_space", "user"), ("org_publish_space", "org")):
        pairs = observe(RELATIONS[relation], tables).select(PAIR).collect()
        owners = {name: record["authorData"] for name, record in records.items()}
        assert set(pairs.iter_rows()) == {
            (owner["name"], name) for name, owner in owners.items() if owner["type"] == kind
        }
    # Their answers do not tell what they use; the edges of Spaces were taken from elsewhere.
    for relation in ("space_use_model", "space_use_dataset"):
        assert observe(RELATIONS[relation], tables).collect().is_empty()
    of_spaces = edges_as_they_are().filter(subject_type="space").select("origin").unique()
    assert set(of_spaces.collect()["origin"]) == {"spaces2026", "trees2025"}
