"""The names of kube-proxy's chains, as they are met on every node of every cluster.

What several Services share has a plain name. What belongs to one Service port ends in a hash of its name and protocol,
so that a name never exceeds the 28 characters that the kernel has for it (XT_EXTENSION_MAXNAMELEN).
"""

from __future__ import annotations

from hashlib import sha256
from string import ascii_uppercase

from netlab.model.rules import Protocol

SERVICES = "KUBE-SERVICES"
NODEPORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
FORWARD = "KUBE-FORWARD"
FIREWALL = "KUBE-FIREWALL"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
CANARY = "KUBE-PROXY-CANARY"
"""Empty and jumped to by nobody: gone when somebody flushed the table."""
PER_SERVICE = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
"""What the names of chains of one Service port begin with."""


class ChainNames:
    """The names of the chains of one Service port, `default/web:http` and its protocol; the same in both families."""

    __slots__ = ("_suffix",)

    def __init__(self, port_name: str, protocol: Protocol) -> None:
        self._suffix = _hash(port_name + protocol)

    @property
    def cluster(self) -> str:
        """Picks one of the endpoints of the policy Cluster."""
        return f"KUBE-SVC-{self._suffix}"

    @property
    def local(self) -> str:
        """Picks one of this node's endpoints."""
        return f"KUBE-SVL-{self._suffix}"

    @property
    def external(self) -> str:
        """Where packets to node ports, external and load-balancer addresses go first."""
        return f"KUBE-EXT-{self._suffix}"

    @property
    def firewall(self) -> str:
        """The load balancer's source ranges."""
        return f"KUBE-FW-{self._suffix}"


def endpoint_chain(port_name: str, protocol: Protocol, endpoint_name: str) -> str:
    """The chain that translates to one endpoint: `default/web`, tcp, `10.244.1.5:8080`."""
    return f"KUBE-SEP-{_hash(port_name + protocol + endpoint_name)}"


def _hash(text: str) -> str:
    """The first 16 characters of base32(sha256(text)), two at a time: base64.b32encode alone would take as long."""
    bits = int.from_bytes(sha256(text.encode()).digest()[:10], "big")
    two = _TWO_CHARACTERS
    return (
        f"{two[bits >> 70]}{two[bits >> 60 & 1023]}{two[bits >> 50 & 1023]}{two[bits >> 40 & 1023]}"
        f"{two[bits >> 30 & 1023]}{two[bits >> 20 & 1023]}{two[bits >> 10 & 1023]}{two[bits & 1023]}"
    )


_BASE32 = ascii_uppercase + "234567"
_TWO_CHARACTERS = tuple(first + second for first in _BASE32 for second in _BASE32)
