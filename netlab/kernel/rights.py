"""Whether this process may change the network namespace that it is in."""

from __future__ import annotations

import socket

from netlab.errors import MissingCapability


def require_rights() -> None:
    """MissingCapability where it may not: asked of the kernel by a setting that only such a process may make.

    SO_DEBUG needs CAP_NET_ADMIN in the user namespace that owns the network namespace (socket(7)) and does nothing else
    that anybody would notice.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_DEBUG, 1)
        except PermissionError:
            raise MissingCapability(
                "CAP_NET_ADMIN in this network namespace", "run as root, or as the namespace's owner"
            ) from None
