"""The log of all writes, in SQLite: the objects are what the newest entries of each key say.

One INSERT is one write: it is atomic, and once `append` has returned it survives the death of the process (kill -9),
though not that of the machine (`synchronous=off`: a lab does not outlive its machine either). Old entries are dropped
by `compact`, as etcd does: whatever was overwritten before the horizon goes, and nobody can watch from before it.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    version INTEGER PRIMARY KEY, previous INTEGER NOT NULL, type TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    object BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS horizon (version INTEGER NOT NULL);
INSERT INTO horizon SELECT 0 WHERE NOT EXISTS (SELECT * FROM horizon);
"""
COLUMNS = "version, previous, type, kind, key, object"


class EventType(StrEnum):
    """What a watch says of an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    ERROR = "ERROR"
    SYNCED = "SYNCED"
    """Not on the wire: a client's sign that its first list is complete."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One write: the object as it became, and the version of what it replaced (0: there was nothing)."""

    version: int
    previous: int
    type: EventType
    kind: str
    key: str
    object: bytes


class Journal:
    """The log in a file, or in memory where `path` is None."""

    def __init__(self, path: Path | None) -> None:
        self._database = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=wal")
        self._database.execute("PRAGMA synchronous=off")
        self._database.executescript(SCHEMA)
        self.close = weakref.finalize(self, self._database.close)
        """Close the file: when called, or when nobody has the journal any more. Nothing is lost without it."""

    @property
    def horizon(self) -> int:
        """The version up to which entries may be missing: a watch can start here or later."""
        (version,) = self._database.execute("SELECT version FROM horizon").fetchone()
        return int(version)

    def append(self, entry: Entry) -> None:
        """Write one entry; when this returns, the entry survives the process."""
        row = (entry.version, entry.previous, entry.type, entry.kind, entry.key, entry.object)
        self._database.execute(f"INSERT INTO log ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", row)

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first."""
        for row in self._database.execute(f"SELECT {COLUMNS} FROM log ORDER BY version"):
            yield _entry(row)

    def since(self, version: int, kind: str) -> Iterator[tuple[Entry, bytes | None]]:
        """The entries of one kind after `version`, oldest first, each with the object that it replaced."""
        columns = ", ".join(f"log.{name}" for name in COLUMNS.split(", "))
        query = f"""SELECT {columns}, before.object FROM log LEFT JOIN log AS before ON before.version = log.previous
                    WHERE log.version > ? AND log.kind = ? ORDER BY log.version"""
        for *row, before in self._database.execute(query, (version, kind)):
            yield _entry(tuple(row)), before

    def compact(self, horizon: int) -> None:
        """Forget what was overwritten or deleted at or before `horizon`."""
        self._database.execute("BEGIN")
        # Two statements, in this order: the tombstones say which entries they overwrote.
        self._database.execute(
            "DELETE FROM log WHERE version IN (SELECT previous FROM log WHERE version <= ?)", (horizon,)
        )
        self._database.execute("DELETE FROM log WHERE version <= ? AND type = 'DELETED'", (horizon,))
        self._database.execute("UPDATE horizon SET version = ?", (horizon,))
        self._database.execute("COMMIT")


def _entry(row: tuple[int, int, str, str, str, bytes]) -> Entry:
    version, previous, type_, kind, key, encoded = row
    return Entry(version, previous, EventType(type_), kind, key, encoded)
