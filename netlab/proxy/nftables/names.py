"""The names that kube-proxy's nftables mode gives to chains, sets and maps.

What Services share has a plain name. What belongs to one Service port has its name, after the first eight characters
of a hash of that, by which the eye tells names apart that differ at their far end. nftables takes names of up to 255
characters; those of Kubernetes are short enough.
"""

from __future__ import annotations

from hashlib import sha256

from netlab.proxy.ports import PortKey
from netlab.proxy.slices import Endpoint

TABLE = "kube-proxy"
CLUSTER_IPS = "cluster-ips"
NODEPORT_IPS = "nodeport-ips"
HAIRPIN = "hairpin-connections"
NO_ENDPOINT_SERVICES = "no-endpoint-services"
NO_ENDPOINT_NODEPORTS = "no-endpoint-nodeports"
FIREWALL_IPS = "firewall-ips"
SERVICE_IPS = "service-ips"
SERVICE_NODEPORTS = "service-nodeports"
ENDPOINTS = "endpoints"
LOCAL_ENDPOINTS = "local-endpoints"
NODEPORT_ENDPOINTS = "nodeport-endpoints"
LOCAL_NODEPORT_ENDPOINTS = "local-nodeport-endpoints"
REJECT = "reject-chain"
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PAIRS = tuple(first + second for first in DIGITS for second in DIGITS)


def port_name(key: PortKey) -> str:
    """`PFISGYVC-default/web/tcp/http`: how the names of a Service port's chains go on."""
    return _hashed("/".join((*key.service, key.protocol, key.port)))


def endpoint_name(key: PortKey, endpoint: Endpoint) -> str:
    """`T6OEKE6Q-default/web/tcp/http__10.244.1.5/8080`: the same for an endpoint. A name cannot hold a colon."""
    namespace, name = key.service
    address = str(endpoint.address).replace(":", ".")
    return _hashed(f"{namespace}/{name}/{key.protocol}/{key.port}__{address}/{endpoint.port}")


def _hashed(text: str) -> str:
    """Forty bits of the hash in base 32, two digits at a time; base64 would take twice as long."""
    bits = int.from_bytes(sha256(text.encode()).digest()[:5], "big")
    two = PAIRS
    return f"{two[bits >> 30]}{two[bits >> 20 & 1023]}{two[bits >> 10 & 1023]}{two[bits & 1023]}-{text}"
