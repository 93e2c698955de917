"""What the faults are called. This is all that the command line needs to know before it works with one."""

from __future__ import annotations

from enum import StrEnum


class FaultName(StrEnum):
    """The faults, in the order of the packet: what selects, what translates, what forwards, what answers."""

    SELECTOR_MATCHES_NOTHING = "selector-matches-nothing"
    KUBE_PROXY_STOPPED = "kube-proxy-stopped"
    IP_FORWARD_OFF = "ip-forward-off"


class Scope(StrEnum):
    """What a fault is put into."""

    NODE = "node"
    SERVICE = "service"
    POD = "pod"
