"""A program of the user's in the place of netlab's kube-proxy: the process becomes it.

So it is started, ended, killed and started again as any kube-proxy of a lab is, and what it prints is in the same log.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from netlab.api.kubeconfig import kubeconfig
from netlab.errors import NetlabError
from netlab.model.access import ServerAccess
from netlab.model.paths import LabPaths
from netlab.workload.expansion import expand

log = logging.getLogger(__name__)


def become(command: Sequence[str], *, node: str, access: ServerAccess, paths: LabPaths) -> NoReturn:
    """Run that program instead of this one, with KUBECONFIG and NODE_NAME set. NetlabError: it cannot be started.

    Both may stand in its arguments as $(KUBECONFIG) and $(NODE_NAME), as in a container's command. It gets the access
    of the node's kube-proxy.
    """
    file = paths.substitute_kubeconfig(node)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        json.dump(kubeconfig(paths.lab, access), opened, indent=2)
    own = {"KUBECONFIG": str(file), "NODE_NAME": node}
    arguments = [expand(argument, own) for argument in command]
    log.info("running %s", " ".join(arguments))
    _hand_on(paths.lock)  # by it the lab's processes are known
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so
    try:
        os.execvpe(arguments[0], arguments, {**os.environ, **own})
    except OSError as error:
        raise NetlabError(f"cannot run {arguments[0]}: {error.strerror}") from error


def _hand_on(file: Path) -> None:
    """Keep the file open, where this process has it open, in the program that it becomes."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder's own
            if entry.readlink() == file:
                os.set_inheritable(int(entry.name), True)
