"""What Dagster makes by itself once a person has switched it on: daily snapshots, what follows.

Belongs here: when something is made. Does not: which assets a job holds (`automation`), or what is
watched for (`sensors`).
"""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

import dagster as dg

from hfkg_assets.automation import LEARNING_LAYERS, snapshot

DAILY_CRON = "15 3 * * *"
"""A quarter past three, UTC: quiet hours of the Hub, and long after midnight, so that a date is
clear."""


@dg.schedule(
    job=snapshot,
    cron_schedule=DAILY_CRON,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every day: crawl the Hub and build the verified graph of that day.",
)
def daily_snapshot(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    day = str(context.scheduled_execution_time.astimezone(UTC).date())
    # The key keeps a day from being asked for twice, should the schedule be switched off and on.
    return dg.RunRequest(run_key=day, partition_key=day)


FOLLOWING = tuple(layer for layer in LEARNING_LAYERS if layer != "catalog")
"""Layers that are made again by themselves when what they are made of has changed."""


def following(assets: Iterable[Any]) -> list[Any]:
    """The assets, those of `FOLLOWING` with the condition to follow the newest snapshot.

    The condition is evaluated by the sensor `default_automation_condition_sensor`, which stands
    still until somebody starts it. It acts on the newest date alone: a backfill of the past does
    not train on every date that it makes.
    """
    follow = dg.AutomationCondition.eager()
    return [
        *dg.map_asset_specs(
            lambda spec: (
                spec.replace_attributes(automation_condition=follow)
                if spec.group_name in FOLLOWING
                else spec
            ),
            assets,
        )
    ]
