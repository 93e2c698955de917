"""Objects that only a malicious or broken client would send: rules stay sound, and everybody else is served."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_objects import CONFIG, endpoint, endpoint_slice, service, tables, tracker

from netlab.model.objects import EndpointSlice, Service
from netlab.model.rules import Family
from netlab.proxy.decide import decide_all
from netlab.proxy.iptables import spell
from netlab.proxy.save_reader import read_save
from netlab.proxy.save_text import save_text

PORTS = st.integers(1, 65535)
NASTY = st.text(max_size=80) | st.sampled_from(
    [
        "web",
        'a" -j ACCEPT',
        "a\nCOMMIT",
        "x" * 300,
        "None",
        "127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "10.0.0.1/99",
    ]
)
ADDRESSES = NASTY | st.ip_addresses().map(str)
PROTOCOLS = st.sampled_from(["TCP", "UDP", "SCTP"])
POLICIES = st.sampled_from(["Local", "Cluster"])
LABELS = st.dictionaries(st.just("service.kubernetes.io/service-proxy-name") | NASTY, NASTY, max_size=2)
META = {"name": NASTY, "namespace": NASTY, "labels": LABELS}
SPEC = {
    "clusterIP": ADDRESSES,
    "clusterIPs": st.lists(ADDRESSES, max_size=3),
    "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
    "ports": st.lists(
        st.fixed_dictionaries({"port": PORTS}, optional={"name": NASTY, "nodePort": PORTS, "protocol": PROTOCOLS}),
        max_size=3,
    ),
    "externalIPs": st.lists(ADDRESSES, max_size=3),
    "loadBalancerSourceRanges": st.lists(ADDRESSES | st.ip_addresses(v=4).map("{}/24".format), max_size=3),
    "externalTrafficPolicy": POLICIES,
    "internalTrafficPolicy": POLICIES,
    "sessionAffinity": st.just("ClientIP"),
    "healthCheckNodePort": PORTS,
}
ENDPOINT = {
    "addresses": st.lists(ADDRESSES, max_size=2),
    "nodeName": st.just("node1") | NASTY,
    "conditions": st.fixed_dictionaries({}, optional=dict.fromkeys(("ready", "serving", "terminating"), st.booleans())),
    "hints": st.fixed_dictionaries({"forZones": st.lists(st.fixed_dictionaries({"name": NASTY}), max_size=2)}),
}


def spoiled(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """A few of these fields, with whatever a client may have put there."""
    return st.fixed_dictionaries({}, optional=fields)


def spoil(obj: Service | EndpointSlice, meta: dict[str, object], changes: dict[str, object]) -> Service | EndpointSlice:
    """The object with these parts instead of its own."""
    document = obj.model_dump(by_alias=True, exclude_unset=True)
    document["metadata"] |= meta | {"labels": {**document["metadata"]["labels"], **meta.get("labels", {})}}  # type: ignore[dict-item]
    for name, change in changes.items():
        document[name] = {**document[name], **change} if isinstance(change, dict) else change
    return type(obj).model_validate(document)


NODE_PORT = {"ports": [{"port": 80, "nodePort": 30081}], "clusterIP": "10.96.0.11"}
SERVICES = st.builds(
    spoil,
    st.just(service(spec=NODE_PORT)),
    spoiled(**META),
    spoiled(
        spec=spoiled(**SPEC),
        status=st.fixed_dictionaries(
            {"loadBalancer": st.fixed_dictionaries({"ingress": st.lists(spoiled(ip=ADDRESSES), max_size=2)})}
        ),
    ),
)
SLICES = st.builds(
    spoil,
    st.just(endpoint_slice(endpoint("10.244.2.6"))),
    spoiled(**META),
    spoiled(
        addressType=st.sampled_from(["IPv4", "IPv6", "FQDN"]),
        ports=st.lists(spoiled(name=st.just("") | NASTY, port=PORTS, protocol=PROTOCOLS), max_size=3),
        endpoints=st.lists(st.fixed_dictionaries(ENDPOINT), max_size=3),
    ),
)
OWN = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
GOOD = (service("good"), endpoint_slice(endpoint("10.244.1.5"), name="good-1", service="good"))


@settings(max_examples=70)
@given(st.lists(SERVICES | SLICES, min_size=2, max_size=5))
def test_whatever_a_client_sends_the_rules_are_sound_and_others_are_served(sent: list[Service | EndpointSlice]) -> None:
    known = tracker(*GOOD, *sent)
    routes = decide_all(known, CONFIG).values()
    for family in Family:
        total = known.endpoint_total(family)
        spelled = spell(routes, config=CONFIG, node=known.node, family=family, endpoint_total=total)
        back = read_save(save_text(spelled), family=family)
        assert [sorted(table.chains, key=lambda chain: chain.name) for table in spelled] == [
            list(table.chains) for table in back
        ]
        for table, plain in zip(back, tables(*GOOD, family=family), strict=True):
            shared = {chain.name for chain in plain.chains if not chain.name.startswith(OWN)}
            assert all(chain.name in shared or chain.name.startswith(OWN) for chain in table.chains)
            assert not any(rule.extra for chain in table.chains for rule in chain.rules)
            rules = {chain.name: set(chain.rules) for chain in table.chains}
            assert all(set(chain.rules) <= rules[chain.name] for chain in plain.chains)
    assert all(str(complaint).isprintable() for complaint in known.complaints)


@given(st.lists(st.tuples(st.booleans(), SERVICES | SLICES), min_size=2, max_size=5))
@settings(max_examples=50)
def test_whatever_comes_and_goes_leaves_nothing_behind(steps: list[tuple[bool, Service | EndpointSlice]]) -> None:
    known = tracker()
    for is_there, obj in steps:
        (known.put if is_there else known.remove)(obj)
        known.collect()
    for _, obj in steps:
        known.remove(obj)
    known.collect()
    assert (dict(known.ports), known.complaints) == ({}, ())
    assert [known.endpoint_total(family) for family in Family] == [0, 0]
