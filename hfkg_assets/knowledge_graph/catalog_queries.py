"""Queries that the catalog offers by name: the views and table macros of its schema `main`.

Belongs here: SQL that people would otherwise write over and over, with the tables that each needs.
Does not: the views of single tables, nor how the file is written (`catalog`).

Walks along lineage keep one row per model that was reached (`USING KEY`) and go on from new ones
only: a cycle ends them, and a model that many ways lead to is visited once.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from hfkg_assets.knowledge_graph.licences import LICENCES, RULES
from hfkg_assets.vocabulary import LINEAGE


@dataclass(frozen=True)
class Query:
    """A view or table macro.

    Attributes:
        name: its name; a macro's with its parameters, such as `ancestors(model, date)`.
        description: one line.
        tables: what it needs, as asset keys.
        sql: the query.
    """

    name: str
    description: str
    tables: frozenset[str]
    sql: str

    @property
    def is_macro(self) -> bool:
        """Whether it takes parameters."""
        return "(" in self.name

    @property
    def statement(self) -> str:
        """The SQL that creates it."""
        if self.is_macro:
            return f"CREATE MACRO {self.name} AS TABLE {self.sql}"
        return f"CREATE VIEW {self.name} AS {self.sql}"


def queries(tables: Set[str]) -> Iterator[Query]:
    """All queries whose tables exist.

    Args:
        tables: the tables that exist, as asset keys.
    """
    everything = (
        _licence(), _lineage(), _neighbours(), _walk("ancestors", "derived", "base"),
        _walk("descendants", "base", "derived"), _licence_conflicts(),
    )  # fmt: skip
    return (query for query in everything if query.tables <= tables)


LINEAGE_TABLES = frozenset(f"verified/{name}" for name in LINEAGE)


def _licence() -> Query:
    rows = ", ".join(
        f"('{licence.id}', '{licence.kind}', {licence.is_known}, {licence.copyleft:d}, "
        f"{licence.non_commercial}, {licence.no_derivatives}, {licence.use_restricted})"
        for licence in LICENCES.values()
    )
    return Query(
        "licence",
        "The Hub's licences and what each asks.",
        frozenset(),
        f"SELECT * FROM (VALUES {rows}) AS licence(id, kind, is_known, copyleft, non_commercial, "
        "no_derivatives, use_restricted)",
    )


def _lineage() -> Query:
    parts = (
        f"SELECT snapshot_date, '{name}' AS relation, subject_id AS base, object_id AS derived "
        f"FROM verified.{name}"
        for name in LINEAGE
    )
    return Query(
        "lineage",
        "Every verified edge from a base model to a derived one, of all snapshots.",
        LINEAGE_TABLES,
        " UNION ALL ".join(parts),
    )


def _walk(name: str, here: str, there: str) -> Query:
    return Query(
        f"{name}(model, date)",
        f"All {name} of a model, each once, by a shortest path; `relation` is its last step.",
        LINEAGE_TABLES,
        f"""
        WITH RECURSIVE step AS MATERIALIZED (
            SELECT {here} AS here, {there} AS there, min(relation) AS relation
            FROM lineage WHERE snapshot_date = CAST(date AS DATE) GROUP BY ALL
        ),
        found(id, depth, relation, path) USING KEY (id) AS (
            SELECT CAST(model AS VARCHAR), 0, CAST(NULL AS VARCHAR), [CAST(model AS VARCHAR)]
            UNION
            SELECT step.there, min(found.depth) + 1, arg_min(step.relation, found.path),
                list_append(min(found.path), step.there)
            FROM found JOIN step ON step.here = found.id
            WHERE NOT EXISTS (SELECT 1 FROM recurring.found seen WHERE seen.id = step.there)
            GROUP BY step.there
        )
        SELECT id, depth, relation, path FROM found WHERE depth > 0 ORDER BY depth, id
        """,
    )


def _neighbours() -> Query:
    return Query(
        "neighbours(type, id, date)",
        "All edges of a node: `out` where it is the subject, `in` where it is the object.",
        frozenset({"graph/node", "graph/edge"}),
        """
        WITH self AS MATERIALIZED (
            SELECT node.node_id FROM graph.node
            WHERE node.snapshot_date = CAST(date AS DATE) AND node.type = type AND node.id = id
        ),
        own AS (
            SELECT edge.relation, edge.source = self.node_id AS is_subject,
                CASE WHEN edge.source = self.node_id THEN edge.target ELSE edge.source END AS other
            FROM graph.edge, self
            WHERE edge.snapshot_date = CAST(date AS DATE)
                AND (edge.source = (SELECT node_id FROM self)
                    OR edge.target = (SELECT node_id FROM self))
        )
        SELECT CASE WHEN own.is_subject THEN 'out' ELSE 'in' END AS direction, own.relation,
            node.type, node.id
        FROM own JOIN graph.node ON node.node_id = own.other
        WHERE node.snapshot_date = CAST(date AS DATE)
        ORDER BY ALL
        """,
    )


def _licence_conflicts() -> Query:
    """A model is compared with each base it names, or with the nearest licences above that.

    A base whose licence is not known neither lifts a condition nor sets one: what stands above it
    is carried down through it. Carried are terms, of which there are a dozen, and for each the
    nearest model that sets them: carrying every such model would take as many rows as there are
    pairs of a model and an ancestor. Below a model with a known licence a contradiction is that
    model's own: it is told once, where it comes in.
    """
    cases = " ".join(f"WHEN {rule.condition} THEN '{rule.reason}'" for rule in RULES)
    return Query(
        "licence_conflicts(date)",
        "Models whose licence contradicts that of a model they derive from, with the path there.",
        LINEAGE_TABLES | {"entity/model"},
        f"""
        WITH RECURSIVE step AS MATERIALIZED (
            SELECT DISTINCT base, derived FROM lineage WHERE snapshot_date = CAST(date AS DATE)
        ),
        model AS MATERIALIZED (
            SELECT model.id, model.author, model.license AS licence,
                coalesce(licence.is_known, false) AS is_known,
                coalesce(licence.copyleft, 0) AS copyleft,
                coalesce(licence.non_commercial, false) AS non_commercial,
                coalesce(licence.no_derivatives, false) AS no_derivatives,
                coalesce(licence.use_restricted, false) AS use_restricted,
                (copyleft, non_commercial, no_derivatives, use_restricted) AS terms,
                is_known AND licence.kind <> 'permissive' AS asks
            FROM entity.model LEFT JOIN licence ON licence.id = model.license
            WHERE snapshot_date = CAST(date AS DATE)
        ),
        unknown_step AS MATERIALIZED (
            SELECT step.* FROM step JOIN model ON model.id = step.derived WHERE NOT model.is_known
        ),
        carried(terms, id, path) USING KEY (terms, id) AS (
            SELECT model.terms, step.derived, min([step.base, step.derived])
            FROM unknown_step step JOIN model ON model.id = step.base
            WHERE model.asks GROUP BY model.terms, step.derived
            UNION
            SELECT carried.terms, step.derived, list_append(min(carried.path), step.derived)
            FROM carried JOIN unknown_step step ON step.base = carried.id
            WHERE NOT EXISTS (
                SELECT 1 FROM recurring.carried seen
                WHERE seen.terms = carried.terms AND seen.id = step.derived
            )
            GROUP BY carried.terms, step.derived
        ),
        walk AS (
            SELECT step.base, step.derived, [step.base, step.derived] AS path
            FROM step JOIN model ON model.id = step.base WHERE model.asks
            UNION ALL
            SELECT carried.path[1], step.derived, list_append(carried.path, step.derived)
            FROM carried JOIN step ON step.base = carried.id
        ),
        pair AS (
            SELECT base, derived, arg_min(path, (len(path), path)) AS path
            FROM walk WHERE base <> derived GROUP BY base, derived
        )
        SELECT base.id AS base, base.licence AS base_licence,
            derived.id AS derived, derived.licence AS derived_licence,
            CASE {cases} END AS reason,
            base.author IS NOT DISTINCT FROM derived.author AS same_author,
            pair.path
        FROM pair
        JOIN model base ON base.id = pair.base
        JOIN model derived ON derived.id = pair.derived
        WHERE reason IS NOT NULL
        ORDER BY base, derived
        """,
    )
