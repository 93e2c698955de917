"""Which endpoints are chosen: ready ones, those that end, hinted ones, and the one that a client had before."""

from __future__ import annotations

from proxy_objects import LEAVING, LOCAL, REMOTE, THIRD, UNREADY
from proxy_tracer import REFUSED, masqueraded, reaches

from proxy_tables.case import (
    AFFINITY,
    AFFINITY_SECONDS,
    EITHER,
    ENDPOINT,
    ETP_LOCAL,
    FAR,
    HERE,
    ITP_LOCAL,
    NODE,
    NODE_PORT,
    NODEPORT,
    OUTSIDER,
    POD,
    THERE,
    VIP,
    Case,
    Last,
    away,
)

ALL = (LOCAL, REMOTE, THIRD)
ZONED = (away("10.244.1.5", zones=["zone-a"]), away("10.244.2.6", zones=["zone-b"]))
SERVING_ONLY: dict[str, object] = {"ready": False, "serving": True}
ENDINGS = (
    Case(
        "an endpoint that ends still serves when none is ready",
        ((POD, VIP, reaches(*EITHER)), (NODE, VIP, masqueraded(*EITHER))),
        endpoints=(away("10.244.1.5", **LEAVING), away("10.244.2.6", **LEAVING), away("10.244.3.7", **UNREADY)),
    ),
    Case(
        "an endpoint that serves but is neither ready nor about to end is not used",
        ((POD, VIP, REFUSED), (OUTSIDER, NODEPORT, REFUSED)),
        spec=ETP_LOCAL,
        endpoints=(away("10.244.1.5", **SERVING_ONLY),),
    ),
    Case(
        "an endpoint that ends serves nobody while another is ready",
        ((POD, VIP, reaches(REMOTE)),),
        endpoints=(away("10.244.1.5", **LEAVING), THERE),
    ),
    Case(
        "a local endpoint that ends serves the policies Local though a remote one is ready",
        (
            (POD, VIP, reaches(LOCAL)),
            (OUTSIDER, NODEPORT, reaches(LOCAL)),
            (POD, NODEPORT, reaches(REMOTE)),
            (NODE, NODEPORT, masqueraded(REMOTE)),
        ),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", **LEAVING), THERE),
    ),
    Case(
        "a local endpoint that ends serves no policy Local beside a local one that is ready",
        (
            (POD, VIP, reaches("10.244.1.6:8080")),
            (OUTSIDER, NODEPORT, reaches("10.244.1.6:8080")),
            (POD, NODEPORT, reaches("10.244.1.6:8080")),
        ),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", **LEAVING), away("10.244.1.6")),
    ),
)
ZONES = (
    Case("zone hints: only this zone's endpoints", ((POD, VIP, reaches(LOCAL)),), endpoints=ZONED),
    Case(
        "zone hints hold whatever the Service says of its traffic, for node ports too",
        ((POD, VIP, reaches(REMOTE)), (OUTSIDER, NODEPORT, masqueraded(REMOTE)), (NODE, NODEPORT, masqueraded(REMOTE))),
        spec=NODE_PORT,
        endpoints=(away("10.244.1.5", zones=["zone-b"]), away("10.244.2.6", zones=["zone-a"])),
    ),
    Case(
        "an endpoint may be hinted to several zones",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-b", "zone-a"]),
            away("10.244.2.6", zones=["zone-a"]),
            away("10.244.3.7", zones=["zone-c"]),
        ),
    ),
    Case(
        "zone hints are ignored when one ready endpoint has none",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"]), THERE),
    ),
    Case(
        "an endpoint that is not ready needs no hint",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(*ZONED, away("10.244.3.7", **UNREADY)),
    ),
    Case(
        "an endpoint that ends needs no hint",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(*ZONED, away("10.244.3.7", **LEAVING)),
    ),
    Case(
        "zone hints are ignored when only an endpoint that is not ready names this zone",
        ((POD, VIP, reaches(REMOTE, THIRD)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], **UNREADY),
            away("10.244.2.6", zones=["zone-b"]),
            away("10.244.3.7", zones=["zone-c"]),
        ),
    ),
    Case(
        "zone hints are ignored when none names this zone",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=(away("10.244.1.5", zones=["zone-b"]), away("10.244.2.6", zones=["zone-c"])),
    ),
    Case(
        "zone hints are ignored on a node without a zone",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=ZONED,
        zone="",
    ),
    Case(
        "hints are ignored among endpoints that end",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"], **LEAVING), away("10.244.2.6", zones=["zone-b"], **LEAVING)),
    ),
    Case(
        "hints do not concern the policies Local",
        ((POD, VIP, reaches(LOCAL)), (POD, NODEPORT, reaches(REMOTE)), (OUTSIDER, NODEPORT, reaches(LOCAL))),
        spec={**ETP_LOCAL, **ITP_LOCAL},
        endpoints=(away("10.244.1.5", zones=["zone-b"]), away("10.244.2.6", zones=["zone-a"])),
    ),
)
NODES = (
    Case(
        "node hints: only this node's endpoints",
        ((POD, VIP, reaches(LOCAL)), (OUTSIDER, VIP, masqueraded(LOCAL))),
        endpoints=(away("10.244.1.5", nodes=["node1"]), away("10.244.2.6", nodes=["node2"])),
        zone="",
    ),
    Case(
        "node hints come before zone hints",
        ((POD, VIP, reaches(REMOTE)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], nodes=["node2"]),
            away("10.244.2.6", zones=["zone-b"], nodes=["node1"]),
        ),
    ),
    Case(
        "node hints that name another node leave the zone hints",
        ((POD, VIP, reaches(LOCAL)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-a"], nodes=["node2"]),
            away("10.244.2.6", zones=["zone-b"], nodes=["node3"]),
        ),
    ),
    Case(
        "node hints that one ready endpoint lacks leave the zone hints",
        ((POD, VIP, reaches(REMOTE)),),
        endpoints=(
            away("10.244.1.5", zones=["zone-b"], nodes=["node1"]),
            away("10.244.2.6", zones=["zone-a"]),
        ),
    ),
    Case(
        "node hints that fit nobody, and zone hints that one endpoint lacks, leave all",
        ((POD, VIP, reaches(*EITHER)),),
        endpoints=(away("10.244.1.5", zones=["zone-a"], nodes=["node2"]), away("10.244.2.6", nodes=["node2"])),
    ),
)
STICKY = (
    Case(
        "a client with affinity returns to its endpoint until the time is over",
        (
            (POD, VIP, reaches(*ALL)),
            (POD, VIP, reaches(REMOTE), Last(REMOTE)),
            (POD, VIP, reaches(THIRD), Last(THIRD)),
            (POD, VIP, reaches(REMOTE), Last(REMOTE, AFFINITY_SECONDS - 1)),
            (POD, VIP, reaches(*ALL), Last(REMOTE, AFFINITY_SECONDS + 1)),
            (NODE, VIP, masqueraded(REMOTE), Last(REMOTE)),
            (OUTSIDER, VIP, masqueraded(THIRD), Last(THIRD)),
        ),
        spec=AFFINITY,
        endpoints=(HERE, THERE, FAR),
    ),
    Case(
        "without affinity a client's last endpoint does not matter",
        ((POD, VIP, reaches(*EITHER), Last(REMOTE)),),
    ),
    Case(
        "a client whose endpoint is gone is given another",
        ((POD, VIP, reaches(*EITHER), Last(THIRD)),),
        spec=AFFINITY,
    ),
    Case(
        "a client whose endpoint ends is given one that is ready",
        ((POD, VIP, reaches(LOCAL), Last(REMOTE)),),
        spec=AFFINITY,
        endpoints=(HERE, away("10.244.2.6", **LEAVING)),
    ),
    Case(
        "affinity at a node port, masqueraded by the endpoint that it had",
        (
            (OUTSIDER, NODEPORT, masqueraded(REMOTE), Last(REMOTE)),
            (OUTSIDER, NODEPORT, masqueraded(LOCAL), Last(LOCAL)),
        ),
        spec={**NODE_PORT, **AFFINITY},
    ),
    Case(
        "affinity of a Pod to itself",
        ((ENDPOINT, VIP, masqueraded(LOCAL), Last(LOCAL)), (ENDPOINT, VIP, reaches(REMOTE), Last(REMOTE))),
        spec=AFFINITY,
    ),
    Case(
        "affinity over UDP",
        (
            (POD, "10.96.0.10:53/udp", reaches("10.244.1.5:53", "10.244.2.6:53")),
            (POD, "10.96.0.10:53/udp", reaches("10.244.2.6:53"), Last("10.244.2.6:53")),
        ),
        spec={**AFFINITY, "ports": [{"port": 53, "protocol": "UDP"}]},
        ports=({"name": "", "port": 53, "protocol": "UDP"},),
    ),
)
CASES = ENDINGS + ZONES + NODES + STICKY
