"""Balance checks: every repository and collection has its one account, or none that is known.

Edges are counted in `graph/edge`, things and accounts in `entity/*`: the two sides of a balance
come by different ways, so an edge that got lost or doubled on either shows. Belongs here: sums over
whole types. What holds for each edge by itself is checked in `verification`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
import polars as pl

from hfkg_assets.snapshots import SNAPSHOTS, key_of
from hfkg_assets.vocabulary import RELATIONS, Owner, Publisher
from hfkg_resources.warehouse import Warehouse


@dataclass(frozen=True)
class Balance:
    """An entity type whose every thing stands under one account.

    Attributes:
        entity: the type.
        column: where `entity/<type>` names the account.
        relations: the relations from accounts to the type: together one edge per thing.
    """

    entity: str
    column: str
    relations: tuple[str, ...]

    @property
    def check(self) -> str:
        """The asset check's name."""
        return f"{self.entity}s_balance"

    @property
    def accounts(self) -> tuple[str, ...]:
        """The entity types of the accounts."""
        return tuple(RELATIONS[name].subject for name in self.relations)


def _balances() -> Iterator[Balance]:
    for rule, column in ((Publisher, "author"), (Owner, "owner")):
        found = [relation for relation in RELATIONS.values() if isinstance(relation.rule, rule)]
        for entity in dict.fromkeys(relation.object for relation in found):
            names = tuple(relation.name for relation in found if relation.object == entity)
            yield Balance(entity, column, names)


BALANCES: Mapping[str, Balance] = {balance.entity: balance for balance in _balances()}
"""Entity type → its balance."""


def weigh(
    balance: Balance,
    edge: pl.LazyFrame,
    things: pl.LazyFrame,
    accounts: pl.LazyFrame,
    aliases: pl.LazyFrame,
) -> tuple[bool, dict[str, int]]:
    """Whether a type's edges and its things without a known account add up to all of it.

    Args:
        edge: `graph/edge`.
        things: the type's entity table.
        accounts: the entity tables of its accounts (column `id`).
        aliases: `hub/aliases`.

    Returns:
        Whether they do, and the numbers: edges by relation, `without_known_account`, `all`, and
        `difference`, how many edges there are too many (negative: too few).
    """
    counted = edge.filter(pl.col("relation").is_in(balance.relations)).group_by("relation").len()
    edges = dict(counted.collect().iter_rows())
    renamed = aliases.filter(pl.col("kind").is_in(set(balance.accounts)))
    account = pl.coalesce("canonical_id", balance.column)
    sizes = (
        things.group_by(balance.column)
        .len()
        .join(
            renamed.select("canonical_id", **{balance.column: "id"}).unique(balance.column),
            on=balance.column,
            how="left",
        )
        .select(account.alias("id"), "len")
    )
    unknown = sizes.join(accounts.select("id"), on="id", how="anti")
    total, orphans = (
        frame.select(pl.col("len").cast(pl.Int64).sum()).collect().item()
        for frame in (sizes, unknown)
    )
    numbers = {name: edges.get(name, 0) for name in balance.relations}
    difference = sum(numbers.values()) + orphans - total
    return difference == 0, {
        **numbers,
        "without_known_account": orphans,
        "all": total,
        "difference": difference,
    }


def _check_specs() -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(
            balance.check,
            asset=["graph", "edge"],
            description=(
                f"{' + '.join(balance.relations)} + {balance.entity}s without a known account "
                f"= all {balance.entity}s."
            ),
            partitions_def=SNAPSHOTS,
            additional_deps=[
                key_of(table)
                for table in (
                    f"entity/{balance.entity}",
                    *(f"entity/{name}" for name in balance.accounts),
                    "hub/aliases",
                )
            ],
        )
        for balance in BALANCES.values()
    ]


@dg.multi_asset_check(name="check_balances", specs=_check_specs(), can_subset=True)
def balance_checks(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.AssetCheckResult]:
    """All balances in one step.

    A difference is an error and stops nothing: each edge that is there has been verified by itself.
    """
    day = context.partition_key
    wanted = {key.name for key in context.selected_asset_check_keys}
    for balance in BALANCES.values():
        if balance.check not in wanted:
            continue
        passed, numbers = weigh(
            balance,
            warehouse.scan("graph/edge", day),
            warehouse.scan(f"entity/{balance.entity}", day),
            pl.concat(warehouse.scan(f"entity/{n}", day).select("id") for n in balance.accounts),
            warehouse.scan("hub/aliases", day),
        )
        yield dg.AssetCheckResult(
            asset_key=["graph", "edge"],
            check_name=balance.check,
            passed=passed,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=numbers,
        )
