"""Whether this process may change the network namespace that it is in."""

from __future__ import annotations

import errno

from netlab.errors import MissingCapability
from netlab.kernel.netlink import Request, RouteSocket
from netlab.kernel.netlink_requests import IFINFOMSG, RTM_DELLINK

HERE = "this network namespace"
NO_LINK = Request(RTM_DELLINK, 0, IFINFOMSG.pack(0, 0, 0, 0, 0))
"""Delete the link with no number and no name: the kernel looks at rights first, then refuses with EINVAL."""


def require_rights() -> None:
    """MissingCapability where it may not: asked of the kernel by a change that changes nothing.

    It looks for CAP_NET_ADMIN in the user namespace that owns the network namespace (rtnetlink(7)), as every change
    does. Socket options are no such question: SO_DEBUG needs the machine's root, others are content with CAP_NET_RAW.
    """
    with RouteSocket(HERE) as route:
        if any(refusal.number in (errno.EPERM, errno.EACCES) for refusal in route.send([NO_LINK])):
            raise MissingCapability(
                "CAP_NET_ADMIN in this network namespace", "run as root, or as the namespace's owner"
            )
