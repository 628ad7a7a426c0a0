"""The content-addressed store: every content once, under its digest, whatever files have it.

A content's key is `sha256:…` of its bytes where the Hub keeps it outside git, else `git:…`, its id
as a git blob. `<root>/torrent/.objects/<algorithm>/<2 digits>/<digest>` is only ever there whole
and verified: it is renamed into its place after its bytes were hashed.

Belongs here: keys, places, verification. Does not: fetching (`download`).
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hfkg_resources.warehouse import Warehouse

KEY = re.compile(r"(sha256):([0-9a-f]{64})|(git):([0-9a-f]{40})")
CHUNK = 1 << 20


class NotAKey(ValueError):
    """A content id that the Hub could not have given: it names no place in the store."""


class Corrupt(Exception):
    """Bytes are not those that their key names; the message says in what they differ."""


@dataclass(frozen=True)
class ObjectStore:
    """Contents by key.

    Attributes:
        root: the store's folder.
    """

    root: Path

    @classmethod
    def of(cls, warehouse: Warehouse) -> "ObjectStore":
        """The store that all snapshots of a warehouse share."""
        return cls(Path(warehouse.root, "torrent", ".objects"))

    def path(self, key: str) -> Path:
        """Where a content is, or would be.

        Raises:
            NotAKey: the key is none.
        """
        algorithm, digest = _parted(key)
        return self.root / algorithm / digest[:2] / digest

    def partial(self, key: str) -> Path:
        """The folder in which a content is put together, and found again after a cut.

        Raises:
            NotAKey: the key is none.
        """
        algorithm, digest = _parted(key)
        return self.root / ".partial" / f"{algorithm}-{digest}"

    def listing(self) -> pl.DataFrame:
        """What the store has: `key`, `bytes`."""
        keys, sizes = [], []
        for algorithm in ("sha256", "git"):
            for folder in sorted((self.root / algorithm).glob("[0-9a-f][0-9a-f]")):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        keys.append(f"{algorithm}:{entry.name}")
                        sizes.append(entry.stat().st_size)
        return pl.DataFrame({"key": keys, "bytes": sizes}, schema={"key": str, "bytes": pl.Int64})

    def has(self, keys: pl.Series, sizes: pl.Series) -> pl.Series:
        """Whether the store has each content, in its whole size.

        Args:
            keys: n keys.
            sizes: their bytes.
        """
        wanted = pl.DataFrame({"key": keys, "bytes": sizes})
        stored = self.listing().with_columns(has=pl.lit(True))
        return wanted.join(stored, on=["key", "bytes"], how="left", maintain_order="left")[
            "has"
        ].fill_null(False)

    def take(self, file: Path, key: str, size: int) -> Path:
        """Verifies a file and makes it the content of a key.

        Args:
            file: on the same disk; it is moved.
            key: what its bytes should be.
            size: how many they should be.

        Raises:
            Corrupt: they are not; the file is removed.
        """
        try:
            verify(file, key, size)
        except Corrupt:
            file.unlink()
            raise
        with file.open("rb") as written:
            os.fsync(written.fileno())
        file.chmod(0o444)  # its links are the same file: writing to one would change all
        place = self.path(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, place)
        return place


def verify(file: Path, key: str, size: int) -> None:
    """Compares a file's bytes with their key.

    Raises:
        Corrupt: size or digest differ.
        NotAKey: the key is none.
    """
    algorithm, wanted = _parted(key)
    found = file.stat().st_size
    if found != size:
        raise Corrupt(f"{found:,} bytes in place of {size:,}")
    digest = hashlib.sha256() if algorithm == "sha256" else hashlib.sha1(b"blob %d\0" % size)
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != wanted:
        raise Corrupt(f"{algorithm} is {digest.hexdigest()} in place of {wanted}")


def _parted(key: str) -> tuple[str, str]:
    match = KEY.fullmatch(key)
    if match is None:
        raise NotAKey(f"{key[:100]!r} is no content id")
    algorithm, digest = filter(None, match.groups())
    return algorithm, digest
