"""`torrent/history`: the git history of the selected models, without large files, if asked for.

A bare mirror per model, `<root>/torrent/.histories/AUTHOR/MODEL.git`, shared by all dates: cloned
once, then only fetched into. What git holds of a large file is the pointer that stands for it.

Belongs here: running git. Does not: files as they are at a commit (`repositories`).
"""

import base64
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import polars as pl

from hfkg_assets.code_versions import code_version
from hfkg_assets.snapshots import snapshot_asset
from hfkg_assets.torrent.manifest import MANIFEST
from hfkg_assets.torrent.repositories import place_of
from hfkg_assets.torrent.settings import TorrentSettings
from hfkg_resources.sources import HubSource
from hfkg_resources.table_schema import Column
from hfkg_resources.warehouse import Warehouse

HISTORY = (
    Column("id", pl.String(), "the model's id", required=True),
    Column("status", pl.String(), "ok or failed (tried again next time)", required=True),
    Column("reason", pl.String(), "why there is none"),
    Column("commits", pl.Int64(), "commits of the main branch"),
    Column("head", pl.String(), "the newest one"),
    Column("has_commit", pl.Boolean(), "whether the selected commit is among them"),
    Column("place", pl.String(), "the mirror, below the store's root"),
)

TIMEOUT_S = 1_800


class GitMissing(Exception):
    """Histories are asked for and there is no git."""


@dataclass(frozen=True)
class Mirrors:
    """Bare mirrors of repositories.

    Attributes:
        root: where they lie.
        endpoint: the Hub.
        token: sent to it; None asks as nobody.
    """

    root: Path
    endpoint: str
    token: str | None

    def update(self, model: str) -> Path:
        """Clones a model's repository, or fetches what is new into its mirror.

        Raises:
            OSError, subprocess.SubprocessError: git cannot; the message is git's.
            ValueError: the id is no safe path.
        """
        place = place_of(model, "x")
        if place is None:
            raise ValueError("a name that is no safe path")
        folder = self.root.joinpath(*place.parts[1:-1])
        mirror = folder.with_name(f"{folder.name}.git")
        if mirror.is_dir():
            self._git("--git-dir", str(mirror), "fetch", "--quiet", "--prune", "origin")
            return mirror
        mirror.parent.mkdir(parents=True, exist_ok=True)
        fresh = mirror.with_name(f".{mirror.name}.tmp")
        shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed here
        self._git("clone", "--quiet", "--mirror", "--", f"{self.endpoint}/{model}", str(fresh))
        os.replace(fresh, mirror)
        return mirror

    def described(self, mirror: Path, sha: str | None) -> tuple[int, str, bool]:
        """Commits of the main branch, the newest one, and whether a commit is in the mirror."""
        git = ("--git-dir", str(mirror))
        commits = int(self._git(*git, "rev-list", "--count", "HEAD"))
        head = self._git(*git, "rev-parse", "HEAD")
        found = sha is not None and not self._fails(*git, "cat-file", "-e", f"{sha}^{{commit}}")
        return commits, head, found

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], env=self._environment(), capture_output=True, text=True,
            timeout=TIMEOUT_S, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout.strip()

    def _fails(self, *arguments: str) -> bool:
        try:
            self._git(*arguments)
        except subprocess.CalledProcessError:
            return True
        return False

    def _environment(self) -> Mapping[str, str]:
        """What git sees: no settings of the machine, no questions, no large files.

        The token goes in by the environment: arguments can be read by every user of the machine.
        """
        own = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "http:https",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        if self.token:
            secret = base64.b64encode(f"user:{self.token}".encode()).decode()
            own |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{self.endpoint}/.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
            }
        return {**os.environ, **own}


def histories(
    selected: pl.DataFrame, mirrors: Mirrors, workers: int, log: logging.Logger
) -> pl.DataFrame:
    """Mirrors of all selected models.

    Args:
        selected: `torrent/selection`.
        mirrors: where they lie.
        workers: clones at once.
        log: told of each that fails.

    Raises:
        GitMissing: there is no git.
    """
    if shutil.which("git") is None:
        raise GitMissing("HFKG_TORRENT_GIT=yes needs git; install it, or set HFKG_TORRENT_GIT=no")

    def history(model: str, sha: str | None) -> tuple[object, ...]:
        try:
            mirror = mirrors.update(model)
            place = str(Path(".histories") / mirror.relative_to(mirrors.root))
            return model, "ok", None, *mirrors.described(mirror, sha), place
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            reason = said.strip().splitlines()[-1][:300] if said.strip() else type(error).__name__
            log.warning("no history of %s: %s", model, reason)
            return model, "failed", reason, None, None, None, None

    with ThreadPoolExecutor(workers) as pool:
        rows = list(pool.map(history, selected["id"], selected["sha"]))
    schema = {column.name: column.dtype for column in HISTORY}
    return pl.DataFrame(rows, schema=schema, orient="row")


@snapshot_asset(
    "torrent/history",
    description="Git mirrors of the selected models, without large files; empty unless asked for.",
    columns=HISTORY,
    ins={"selection": "torrent/selection"},
    deps=[MANIFEST],  # a plan that does not fit is refused before
    kinds=("git", "parquet"),
    code_version=code_version(histories),
)
def history(
    context: dg.AssetExecutionContext,
    hub: HubSource,
    warehouse: dg.ResourceParam[Warehouse],
    torrent: TorrentSettings,
    selection: pl.LazyFrame,
) -> pl.DataFrame:
    chosen = selection.collect()
    if torrent.git == "no":
        chosen = chosen.clear()
    with hub.files_client(context.partition_key) as client:
        root = Path(warehouse.root, "torrent", ".histories")
        mirrors = Mirrors(root, client.endpoint, hub.token)
    return histories(chosen, mirrors, torrent.workers, context.log)
