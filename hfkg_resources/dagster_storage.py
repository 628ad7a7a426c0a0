"""Dagster's SQLite storage, with connections that stay open.

Dagster's own opens a connection for every event and closes it again, and SQLite then brings the
database to disk twice: of a snapshot's two thousand events that is most of the time. Here each
database keeps one connection, and what was written is brought to disk from time to time. A killed
process loses nothing; a power cut may lose the last seconds of Dagster's history, and never a
table. Files and formats are Dagster's: either storage reads what the other wrote.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

MOST_OPEN = 8
"""Databases that are kept open at once: that of all assets, and those of the latest runs."""


class SqliteEventLog(SqliteEventLogStorage):
    """The event log: one database per run and one over all of them, each with one connection."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                pool_size=1,
                connect_args={
                    "timeout": SQLITE_BUSY_TIMEOUT_SECONDS,
                    "check_same_thread": False,  # the lock lets one thread in at a time
                },
            )
            event.listen(engine, "connect", _sync_from_time_to_time)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > MOST_OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def store_event(self, event: EventLogEntry) -> None:
        """Stores an event, and tells who watches the run: the file alone would not change."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    def wipe(self) -> None:
        """Deletes all runs; their databases are closed first."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Closes everything."""
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _sync_from_time_to_time(connection: Any, _: object) -> None:
    # With a write-ahead log this is safe against a crash of the process or of SQLite.
    connection.execute("PRAGMA synchronous=NORMAL")


class SqliteStorage(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite; see `dagster.yaml`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = SqliteEventLog(os.path.join(base_dir, "history", "runs", ""))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """The storage that `dagster.yaml` asks for."""
        return cls.from_local(inst_data=inst_data, **config_value)
