"""How a file or a folder is written so that no reader ever sees half of it.

Belongs here: the one way that every file of the store takes. Does not: what is in the file.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

SUFFIX = ".tmp"
"""Ends the name of a file that is still being written; one left behind is rubbish."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file that is there whole or not at all, also after a power cut.

    It is written beside its place, under a name of its own that no pattern for finished files
    matches, and then renamed into it.

    Args:
        path: the file's place; its folder is made if need be.
        write: writes the content to the path that it is given.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{SUFFIX}")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except Exception as error:
        # A Parquet writer that runs out of disk calls its file bad, not the disk full.
        if not isinstance(error, OSError) and not os.statvfs(path.parent).f_bavail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Fills a folder beside its place, then renames it into it; an older one is replaced.

    Args:
        folder: the place.
        write: writes the content into the folder that it is given.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for torn in folder.parent.glob(f".{folder.name}.*{SUFFIX}"):  # of a run that was killed here
        shutil.rmtree(torn)
    fresh, old = (folder.with_name(f".{folder.name}.{uuid.uuid4().hex}{SUFFIX}") for _ in range(2))
    fresh.mkdir()
    try:
        write(fresh)
        if folder.exists():
            os.replace(folder, old)
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def link_or_copy(source: Path, place: Path) -> None:
    """A file under a second name, which takes no room; a copy where there are no links.

    What is stored is never changed in place, only replaced: what is linked stays as it
    is.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
