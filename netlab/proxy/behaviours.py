"""Where packets fare differently from mode to mode: what `netlab modes` prints, and tests prove with packets.

Proved by tests/proxy_tables and the tests of each mode in tests/kernel. KUBE-PROXY's own differences are these, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from netlab.model.comparison import Behaviour
from netlab.model.modes import ProxyMode

BEHAVIOURS: Mapping[ProxyMode, Behaviour] = {
    ProxyMode.IPTABLES: Behaviour(
        rules_in="tables nat, filter",
        endpoint_by="chance, rule by rule",
        client_address="kept",
        no_endpoints="refused",
        node_port_on="every address",
        node_port_on_loopback="answers (IPv4)",
        other_port="passes on",
        sctp="served",
        without_process="rules serve on",
    ),
    ProxyMode.NFTABLES: Behaviour(
        rules_in="table kube-proxy",
        endpoint_by="chance, one look-up",
        client_address="kept",
        no_endpoints="refused",
        node_port_on="primary addresses",
        node_port_on_loopback="no",
        other_port="refused",
        sctp="served",
        without_process="rules serve on",
    ),
    ProxyMode.IPVS: Behaviour(
        rules_in="IPVS, sets, few rules",
        endpoint_by="turns (rr), kernel's",
        client_address="kept",
        no_endpoints="refused",
        node_port_on="every address",
        node_port_on_loopback="no",
        other_port="refused",
        sctp="served",
        without_process="servers serve on",
    ),
    ProxyMode.USERSPACE: Behaviour(
        rules_in="tables nat, filter",
        endpoint_by="turns, process's",
        client_address="lost",
        no_endpoints="accepted and closed",
        node_port_on="every address",
        node_port_on_loopback="answers",
        other_port="passes on",
        sctp="not served",
        without_process="nobody answers",
    ),
}
