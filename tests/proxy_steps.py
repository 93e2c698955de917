"""A few Services that want one address, and change: dense enough that orders of changes that matter come up often."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st
from proxy_objects import endpoint, endpoint_slice, service

from netlab.proxy.changes import ChangeTracker


class Step(NamedTuple):
    """One Service comes, changes or goes, and its endpoints are these. All want one external address."""

    number: int
    kind: str
    external_policy: str
    internal_policy: str
    sticky_seconds: int | None
    endpoints: frozenset[str]

    def take(self, known: ChangeTracker) -> None:
        """Let a proxy hear of it."""
        name, sticky = f"s{self.number}", self.sticky_seconds
        spec = {
            "type": self.kind,
            "clusterIP": f"10.96.0.{10 + self.number}",
            "externalIPs": ["203.0.113.20"],
            "ports": [{"port": 80, "nodePort": None if self.kind == "ClusterIP" else 30080 + self.number}],
            "externalTrafficPolicy": self.external_policy,
            "internalTrafficPolicy": self.internal_policy,
            "sessionAffinity": "ClientIP" if sticky else "None",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": sticky}} if sticky else None,
            "loadBalancerSourceRanges": ["198.51.100.0/24"],
        }
        balanced = [{"ip": f"203.0.113.{self.number}"}] if self.kind == "LoadBalancer" else []
        if self.kind == "gone":
            known.remove(service(name))
        else:
            known.put(service(name, spec=spec, status={"loadBalancer": {"ingress": balanced}}))
        known.put(endpoint_slice(*map(endpoint, sorted(self.endpoints)), name=f"{name}-1", service=name))


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 2),
        st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "gone"]),
        st.sampled_from(["Cluster", "Local"]),
        st.sampled_from(["Cluster", "Local"]),
        st.sampled_from([None, 5, 10800]),
        st.frozensets(st.sampled_from(["10.244.1.5", "10.244.1.6", "10.244.2.6", "10.244.3.7"])),
    ),
    max_size=8,
)
