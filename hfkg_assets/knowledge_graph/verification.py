"""`verified/<name>` and `rejected/<name>`: which assertions hold, and why the others do not.

An assertion's ids are first resolved: through the snapshot's aliases (renames, short ids, case),
and for papers by dropping the arXiv version. Then it is verified, or rejected with exactly one
reason, in this order of precedence: `malformed_id`, `self_loop`, `both_missing`,
`subject_missing`, `object_missing`, `duplicate`. Verified and rejected together are always all
that was observed; asset checks prove it from the stored files.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.knowledge_graph.id_rows import pair_hashes, rows_of_ids
from hfkg_assets.knowledge_graph.relations import without_version
from hfkg_assets.snapshots import IO_MANAGER, ONE_RUN_PER_DATE, OWNERS, SNAPSHOTS, key_of
from hfkg_assets.vocabulary import ENTITIES, RELATIONS, REPOSITORY_TYPES, RelationType
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import SCHEMA_KEY, Warehouse, column_schema

REASONS = (
    "malformed_id", "self_loop", "both_missing", "subject_missing", "object_missing", "duplicate",
)  # fmt: skip
"""All reasons for rejection, by precedence."""

STATUS_RANK = {
    "claimed_verified": 0,
    "extracted_confirmed": 1,
    "admin_assigned": 2,
    "extracted_pending": 3,
}
"""Of several links between one paper and one user the best confirmed is kept."""

REJECTED_SHARE = 0.25
"""Above this share of rejected assertions a relation's check warns."""

OBSERVED = (
    Column("observed_subject_id", pl.String(), "the subject's id as observed"),
    Column("observed_object_id", pl.String(), "the object's id as observed"),
)
ALIASED = (*REPOSITORY_TYPES, "user", "organization")
"""Entity types whose ids may be old names that `hub/aliases` resolves."""

REASON = Column("reason", pl.String(), f"why: one of {', '.join(REASONS)}", required=True)


class Verdict(NamedTuple):
    """A relation's assertions, judged.

    Attributes:
        verified: resolved `subject_id` and `object_id`, the relation's attributes, the ids as
            observed; sorted by ids.
        rejected: the same and `reason`; sorted likewise.
    """

    verified: pl.DataFrame
    rejected: pl.DataFrame


def verify(
    relation: RelationType,
    observed: pl.LazyFrame,
    subjects: pl.LazyFrame,
    objects: pl.LazyFrame,
    aliases: pl.LazyFrame,
) -> Verdict:
    """Resolves and judges every assertion of a relation.

    Args:
        relation: its declaration.
        observed: its assertions, `relation/<name>`.
        subjects, objects: the entity tables of both ends (column `id`), sorted by id.
        aliases: `hub/aliases` (`kind`, `id`, `canonical_id`).
    """
    judged = observed.with_columns(
        observed_subject_id=pl.col("subject_id"), observed_object_id=pl.col("object_id")
    ).collect()
    judged = judged.with_columns(
        _resolved(judged["subject_id"], relation.subject, aliases),
        _resolved(judged["object_id"], relation.object, aliases),
    )
    # From here on an edge is two row numbers: ids sort as their rows do, and ten times as slowly.
    known = {"subject": subjects, "object": objects}
    judged = judged.with_columns(
        rows_of_ids(judged[f"{end}_id"], ids.select("id").collect()["id"]).alias(f"{end}_row")
        for end, ids in known.items()
    ).with_columns(
        reason=_reason(relation),
        edge=pl.col("subject_row").cast(pl.UInt64) * 2**32 + pl.col("object_row"),
    )
    sound = pl.col("reason").is_null()
    edges = _sorted(judged.filter(sound))
    again = edges["edge"] == edges["edge"].shift(1)
    repeated = (again | again.shift(-1)).fill_null(False)
    ties = edges.filter(repeated).sort("edge", *_ties(relation))
    first = pl.col("edge").is_first_distinct()
    verified = _sorted(pl.concat([edges.filter(~repeated), ties.filter(first)]))
    rejected = pl.concat(
        [judged.filter(~sound), ties.filter(~first).with_columns(reason=pl.lit("duplicate"))]
    )
    columns = [column.name for column in (*relation.columns, *OBSERVED)]
    return Verdict(
        verified.select(columns),
        rejected.sort("subject_id", "object_id", *_ties(relation), nulls_last=True).select(
            *columns, "reason"
        ),
    )


def _resolved(ids: pl.Series, entity: str, aliases: pl.LazyFrame) -> pl.Series:
    """What the observed ids of an entity type stand for."""
    if entity == "paper":
        return pl.select(without_version(pl.lit(ids))).to_series()
    if entity not in ALIASED:
        return ids
    known = (
        aliases.filter(pl.col("kind") == entity, pl.col("canonical_id") != pl.col("id"))
        .unique("id", keep="first", maintain_order=True)
        .collect()
    )
    found = rows_of_ids(ids, known["id"])
    canonical = pl.coalesce(known["canonical_id"].gather(found), ids)
    return ids if found.null_count() == len(ids) else pl.select(canonical.alias(ids.name))[ids.name]


def _sorted(edges: pl.DataFrame) -> pl.DataFrame:
    return edges if edges["edge"].is_sorted() else edges.sort("edge", maintain_order=True)


def _reason(relation: RelationType) -> pl.Expr:
    def malformed(end: str, entity: str) -> pl.Expr:
        return ~pl.col(end).fill_null("").str.contains(ENTITIES[entity].id_pattern)

    subject, object_ = pl.col("subject_row").is_not_null(), pl.col("object_row").is_not_null()
    same_type = pl.lit(relation.subject == relation.object)
    cases = {
        "malformed_id": malformed("subject_id", relation.subject)
        | malformed("object_id", relation.object),
        "self_loop": same_type & (pl.col("subject_id") == pl.col("object_id")),
        "both_missing": ~subject & ~object_,
        "subject_missing": ~subject,
        "object_missing": ~object_,
    }
    return pl.coalesce(
        pl.when(condition).then(pl.lit(reason)) for reason, condition in cases.items()
    )


def _ties(relation: RelationType) -> list[str | pl.Expr]:
    """What decides between assertions of the same edge."""
    rank = [
        pl.col("status").replace_strict(STATUS_RANK, default=len(STATUS_RANK))
        for column in relation.attributes
        if column.name == "status"
    ]
    # The attributes come last, so that which of two equal pairs is kept is never by chance.
    attributes = [column.name for column in relation.attributes]
    return [*rank, "observed_subject_id", "observed_object_id", *attributes]


# --- assets --------------------------------------------------------------------------------------


def verification_assets(relation: RelationType) -> dg.AssetsDefinition:
    """The step that fills `verified/<name>` and `rejected/<name>` of one relation."""
    ends = list(dict.fromkeys((relation.subject, relation.object)))
    tables = [f"relation/{relation.name}", "hub/aliases", *(f"entity/{name}" for name in ends)]
    columns = (*relation.columns, *OBSERVED)

    def out(layer: str, columns: Sequence[Column], description: str) -> dg.AssetOut:
        return dg.AssetOut(
            key=[layer, relation.name],
            group_name=layer,
            io_manager_key=IO_MANAGER,
            description=description,
            kinds={"polars", "parquet"},
            owners=OWNERS,
            tags={"layer": layer, "subject": relation.subject, "object": relation.object},
            metadata={SCHEMA_KEY: column_schema(columns)},
            code_version=code_version(
                verify,
                (relation.subject, relation.object, relation.columns),
                [ENTITIES[end].id_pattern for end in ends],
            ),
        )

    @dg.multi_asset(
        name=f"verify__{relation.name}",
        # Read here and not as inputs: two events for each would be a fifth of a run's.
        deps=[key_of(table) for table in tables],
        outs={
            "verified": out(
                "verified",
                columns,
                f"{relation.description} Both ends exist, each pair once, ids canonical.",
            ),
            "rejected": out(
                "rejected", (*columns, REASON), "Assertions that do not hold, each with its reason."
            ),
        },
        partitions_def=SNAPSHOTS,
        backfill_policy=ONE_RUN_PER_DATE,
    )
    def build(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.Output[pl.DataFrame]]:
        scan = partial(warehouse.scan, day=context.partition_key)
        verified, rejected = verify(
            relation,
            observed=scan(f"relation/{relation.name}"),
            subjects=scan(f"entity/{relation.subject}"),
            objects=scan(f"entity/{relation.object}"),
            aliases=scan("hub/aliases"),
        )
        reasons = dict(rejected.group_by("reason").len().sort("reason").iter_rows())
        yield dg.Output(verified, "verified")
        yield dg.Output(
            rejected,
            "rejected",
            metadata={f"hfkg/{reason}": reasons.get(reason, 0) for reason in REASONS},
        )

    return build


VERIFICATION_ASSETS = [verification_assets(relation) for relation in RELATIONS.values()]


# --- checks --------------------------------------------------------------------------------------

COMPLETE = "verified_and_rejected_are_all_observed"
REFERENCES = "both_ends_exist"
UNIQUE = "each_edge_once"
SHARE = "rejected_share"
CHECKS = {
    COMPLETE: "Verified and rejected together are exactly the observed assertions.",
    REFERENCES: "Every edge's ends are well-formed ids of the entity tables, and two things.",
    UNIQUE: "No edge stands twice.",
    SHARE: f"At most {REJECTED_SHARE:.0%} of the assertions are rejected for a missing end.",
}


def check_relation(
    relation: RelationType, tables: Mapping[str, pl.LazyFrame]
) -> Iterator[tuple[str, bool, dict[str, int | float]]]:
    """Judges the stored tables of a relation by themselves, not by what the step believed.

    Args:
        relation: its declaration.
        tables: `observed`, `verified`, `rejected`, `subjects`, `objects`.

    Yields:
        Check name, whether it passed, and the numbers behind it.
    """
    pairs = [column.name for column in OBSERVED]
    verified = tables["verified"].collect()
    rejected = tables["rejected"].select(*pairs, "reason").collect()
    observed = tables["observed"].select(
        observed_subject_id="subject_id", observed_object_id="object_id"
    )
    observed_pairs = observed.collect()
    judged = pl.concat([verified.select(pairs), rejected.select(pairs)])
    total, kept, dropped = observed_pairs.height, verified.height, rejected.height
    uneven = _uneven_pairs(observed_pairs, judged, pairs)
    yield (
        COMPLETE,
        total == kept + dropped and uneven == 0,
        {"observed": total, "verified": kept, "rejected": dropped, "uneven_pairs": uneven},
    )

    def unknown(end: str) -> int:
        ids = tables[f"{end}s"].select("id").collect()["id"]
        return rows_of_ids(verified[f"{end}_id"], ids).null_count()

    loops = 0
    if relation.subject == relation.object:
        loops = int((verified["subject_id"] == verified["object_id"]).sum())
    numbers: dict[str, int | float] = {
        "unknown_subjects": unknown("subject"),
        "unknown_objects": unknown("object"),
        "self_loops": loops,
    }
    yield REFERENCES, not any(numbers.values()), numbers

    repeats = 0
    ends = ("subject_id", "object_id")
    if pair_hashes(verified, *ends).n_unique() < kept:  # two edges may share a hash
        repeats = int(verified.select(pl.struct(ends).is_duplicated().sum()).item())
    yield UNIQUE, repeats == 0, {"repeated": repeats}

    missing = int(rejected["reason"].str.ends_with("missing").sum())
    share = missing / total if total else 0.0
    yield SHARE, share <= REJECTED_SHARE, {"share": round(share, 4), "threshold": REJECTED_SHARE}


def _uneven_pairs(observed: pl.DataFrame, judged: pl.DataFrame, pairs: list[str]) -> int:
    """Number of id pairs that occur not equally often on both sides."""
    # Sums of hashes do not depend on the order: equal sums are equal pairs but once in 2**64.
    if pair_hashes(observed, *pairs).sum() == pair_hashes(judged, *pairs).sum():
        return 0
    both = pl.concat(
        [observed.with_columns(weight=pl.lit(1)), judged.with_columns(weight=pl.lit(-1))]
    )
    balance = both.group_by(pairs).agg(pl.col("weight").sum())
    return int(balance.select((pl.col("weight") != 0).sum()).item())


def _check_specs() -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            name,
            asset=["verified", relation.name],
            description=description,
            blocking=name != SHARE,
            partitions_def=SNAPSHOTS,
            additional_deps=[
                key_of(table)
                for table in (
                    f"relation/{relation.name}",
                    f"rejected/{relation.name}",
                    f"entity/{relation.subject}",
                    f"entity/{relation.object}",
                )
            ],
        )
        for relation in RELATIONS.values()
        for name, description in CHECKS.items()
    ]


@dg.multi_asset_check(name="check_verified_relations", specs=_check_specs(), can_subset=True)
def verification_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """All checks of all relations in one step: thirty steps would cost more than the checks."""
    day = context.partition_key
    wanted = context.selected_asset_check_keys
    for name in sorted({key.asset_key.path[-1] for key in wanted}):
        relation = RELATIONS[name]
        tables = {
            "observed": warehouse.scan(f"relation/{name}", day),
            "verified": warehouse.scan(f"verified/{name}", day),
            "rejected": warehouse.scan(f"rejected/{name}", day),
            "subjects": warehouse.scan(f"entity/{relation.subject}", day).select("id"),
            "objects": warehouse.scan(f"entity/{relation.object}", day).select("id"),
        }
        for check, passed, numbers in check_relation(relation, tables):
            if dg.AssetCheckKey(key_of(f"verified/{name}"), check) in wanted:
                yield dg.AssetCheckResult(
                    asset_key=["verified", name],
                    check_name=check,
                    passed=passed,
                    severity=dg.AssetCheckSeverity.WARN
                    if check == SHARE
                    else dg.AssetCheckSeverity.ERROR,
                    metadata=numbers,
                )
