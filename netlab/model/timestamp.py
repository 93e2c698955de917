"""Times as the Kubernetes API writes them (RFC 3339, in UTC, to the second)."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The time now: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
