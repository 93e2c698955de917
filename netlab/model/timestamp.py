"""Times as the Kubernetes API writes them (RFC 3339, in UTC, to the second)."""

from __future__ import annotations

from datetime import UTC, datetime

HOUR = 3600


def now() -> str:
    """The time now: `2026-01-31T12:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(since: str | None, *, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was, in kubectl's short form: 42s, 5m10s, 3h2m, 4d, 2y10d."""
    if since is None:
        return "<unknown>"
    seconds = max(0, int(((now or datetime.now(UTC)) - datetime.fromisoformat(since)).total_seconds()))
    return _short(seconds) if seconds < 8 * HOUR else _long(seconds // HOUR)


def _short(seconds: int) -> str:
    minutes = seconds // 60
    if minutes < 2:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    return f"{minutes}m" if minutes < 180 else _two(minutes // 60, "h", minutes % 60, "m")


def _long(hours: int) -> str:
    days = hours // 24
    if days < 2:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d" if days < 2 * 365 else _two(days // 365, "y", days % 365 if days < 8 * 365 else 0, "d")


def _two(large: int, unit: str, small: int, its_unit: str) -> str:
    return f"{large}{unit}{small}{its_unit}" if small else f"{large}{unit}"
