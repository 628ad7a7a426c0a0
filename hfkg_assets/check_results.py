"""What a check tells that has looked for faults: it passes if there are none, and shows some.

Belongs here: the form. Does not: any fault.
"""

import dagster as dg
import polars as pl

from hfkg_assets.text_table import markdown_table

SHOWN = 50


def none_found(
    asset: dg.AssetKey,
    name: str,
    found: pl.DataFrame,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """The result of a check that looks for rows that should not be.

    Args:
        asset: what is checked.
        name: of the check.
        found: such rows; the first ones are shown.
        severity: of having found some.
    """
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=found.is_empty(),
        severity=severity,
        metadata={
            "hfkg/found": found.height,
            "hfkg/rows": dg.MetadataValue.md(markdown_table(found.head(SHOWN))),
        },
    )
