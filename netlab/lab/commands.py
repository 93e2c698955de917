"""Commands inside a lab that run to their ends, and what they print."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from netlab.errors import TimedOut
from netlab.lab import messages
from netlab.lab.control import connected, environment, exit_status, reply
from netlab.model.names import Place, network_namespace
from netlab.model.paths import LabPaths
from netlab.workload import talk


@dataclass(frozen=True, slots=True)
class Captured:
    """How a command ended, as a shell says it, and what it printed."""

    status: int
    out: bytes
    err: bytes


def captured(
    paths: LabPaths, where: Place, argv: Sequence[str], *, stdin: bytes = b"", timeout: float | None = None
) -> Captured:
    """Run a command in a place of the lab to its end. NotFound: there is no such place.

    TimedOut: it did not end in `timeout` seconds, and was killed.
    """
    request = messages.Exec(where=network_namespace(paths.lab, where), argv=tuple(argv), env=environment())
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        with connected(paths) as connection:
            talk.send(connection, request, (given.fileno(), out.fileno(), err.fileno()))
            reply(connection)
            connection.settimeout(timeout)
            try:
                status = exit_status(connection)
            except TimeoutError as error:
                raise TimedOut(f"{where}: {' '.join(argv)}: still running after {timeout:g} s") from error
        for printed in (out, err):
            printed.seek(0)
        return Captured(status, out.read(), err.read())
