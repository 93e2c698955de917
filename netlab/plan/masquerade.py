"""Hop 6: the packet leaves the cluster, and Pod addresses mean nothing there: it goes out in the node's name.

kindnet and flannel do it this way: what a node's own Pods send to anything but the Pod range is masqueraded. Addresses
of other nodes are not excepted: they are outside of the Pod range, and both tools masquerade there too. Traffic to a
Service is not concerned: by POSTROUTING its destination is a Pod's address.

Exceptions end in RETURN, not in ACCEPT as in the CNI project's ip-masq chains: the packet must still come by
kube-proxy's own KUBE-POSTROUTING, whichever of the two is first, or a Pod could not reach itself through its Service.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from netlab.model.rules import Chain, Family, Hook, IPNetwork, Jump, Masquerade, Rule, Table, Verdict
from netlab.model.topology import Cidr
from netlab.plan.stations import OWNED_CHAINS, Station

CHAIN = OWNED_CHAINS + "MASQ"
MULTICAST: dict[int, IPNetwork] = {4: ip_network("224.0.0.0/4"), 6: ip_network("ff00::/8")}


def masquerade_tables(node: Station, *, pod_cidrs: Sequence[Cidr]) -> tuple[Table, ...]:
    """The node's nat tables, one an IP version that its Pods have: a chain, and the rule that leads into it."""
    return tuple(
        _table(own, cluster=cluster)
        for own in node.pod_cidrs
        for cluster in pod_cidrs
        if cluster.version == own.version
    )


def _table(own: IPNetwork, *, cluster: IPNetwork) -> Table:
    leave = (
        Rule(destination=cluster, comment="stays in the cluster", target=Verdict.RETURN),
        Rule(destination=MULTICAST[own.version], target=Verdict.RETURN),
        Rule(comment="leaves in the name of the node", target=Masquerade()),
    )
    hook = Rule(source=own, comment="from a Pod of this node", target=Jump(CHAIN))
    return Table(
        family=Family.IPV4 if own.version == 4 else Family.IPV6,
        name="nat",
        chains=(Chain(CHAIN, leave),),
        hooks=(Hook("POSTROUTING", hook),),
        owned=(OWNED_CHAINS,),
    )
