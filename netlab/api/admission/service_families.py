"""Which address families a Service has: ipFamilyPolicy, ipFamilies and how they go with clusterIPs.

Source: the dual-stack documentation (KEP-563) and kube-apiserver's messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.api.admission.causes import NOT_AN_ADDRESS, Causes, address_in, duplicate, required, wrong
from netlab.api.admission.service_defaults import NONE, is_headless, needs_cluster_ip, with_spec
from netlab.model.objects import Service, ServiceSpec

SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def with_families(service: Service, before: Service | None, configured: Sequence[str]) -> Service:
    """The Service with its policy and families spelled out, given the families of the cluster, the first one first.

    Call it on what `check_families` accepts; whatever is contradictory is left as it is.
    """
    spec = service.spec
    if not needs_cluster_ip(spec):
        return service
    policy = spec.ip_family_policy or _default_policy(spec, before.spec if before else None)
    ips = spec.cluster_ips
    families: tuple[str, ...] = spec.ip_families
    if before is not None and policy == SINGLE:
        # The policy alone says it: the second address and family, carried along unchanged, are to be released.
        ips = ips[:1] if ips == before.spec.cluster_ips else ips
        families = families[:1] if families == before.spec.ip_families else families
    families = _inferred(families, ips)
    selectorless_headless = is_headless(spec) and not spec.selector
    families = families or (configured[0],)
    if policy != SINGLE and len(families) == 1 and (selectorless_headless or len(configured) == 2):
        families = (*families, OTHER[families[0]])
    return with_spec(service, ip_family_policy=policy, ip_families=families, cluster_ips=ips)


def _default_policy(spec: ServiceSpec, before: ServiceSpec | None) -> str:
    """An update keeps the policy; a Service that leads anywhere by DNS alone is for both families; else one."""
    if before is not None and before.ip_family_policy is not None:
        return before.ip_family_policy
    return REQUIRE if is_headless(spec) and not spec.selector else SINGLE


def _inferred(families: tuple[str, ...], ips: tuple[str, ...]) -> tuple[str, ...]:
    """The families of the addresses, where there are more addresses than families."""
    found = list(families)
    for ip in ips[len(families) :]:
        if address := address_in(ip):
            found.append(f"IPv{address.version}")
    return tuple(found)


def check_families(service: Service, before: Service | None, configured: Sequence[str]) -> Causes:
    """The causes against clusterIPs, ipFamilies and ipFamilyPolicy, before `with_families`."""
    spec = service.spec
    if not needs_cluster_ip(spec):
        return
    found = tuple(_check_ips(spec))
    yield from found
    yield from _check_listed_families(spec)
    if not found:
        yield from _check_pairs(spec)
        yield from _check_policy(spec, before.spec if before else None)
        if not (is_headless(spec) and not spec.selector):
            yield from _check_configured(spec, configured)


def _check_ips(spec: ServiceSpec) -> Causes:
    ips = spec.cluster_ips
    if spec.cluster_ip and ips and ips[0] != spec.cluster_ip:
        yield wrong("spec.clusterIPs", list(ips), "first value must match `clusterIP`")
    if ips and not spec.cluster_ip:
        yield wrong("spec.clusterIPs", list(ips), "must be empty when `clusterIP` is not specified")
    if spec.cluster_ip and not ips:
        yield required("spec.clusterIPs")
    if ips[:1] == (NONE,) and len(ips) > 1:
        yield wrong("spec.clusterIPs", list(ips), "'None' must be the first and only value")
    for index, ip in enumerate(ips):
        if address_in(ip) is None and (index or ip != NONE):
            yield wrong(f"spec.clusterIPs[{index}]", ip, NOT_AN_ADDRESS)
    if len(ips) > 2:
        yield wrong("spec.clusterIPs", list(ips), "may only hold up to 2 values")


def _check_listed_families(spec: ServiceSpec) -> Causes:
    for index, family in enumerate(spec.ip_families):
        if family in spec.ip_families[:index]:
            yield duplicate(f"spec.ipFamilies[{index}]", family)


def _check_pairs(spec: ServiceSpec) -> Causes:
    if is_headless(spec):
        return
    addresses = [address for ip in spec.cluster_ips if (address := address_in(ip))]
    if len(addresses) == 2 and addresses[0].version == addresses[1].version:
        yield wrong("spec.clusterIPs", list(spec.cluster_ips), "may specify no more than one IP for each IP family")
    for index, (address, family) in enumerate(zip(addresses, spec.ip_families, strict=False)):
        if family != f"IPv{address.version}":
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield wrong(f"spec.clusterIPs[{index}]", str(address), why)


def _check_policy(spec: ServiceSpec, before: ServiceSpec | None) -> Causes:
    policy = spec.ip_family_policy or _default_policy(spec, before)
    field = "spec.ipFamilyPolicy"
    changed_ips = before is None or spec.cluster_ips != before.cluster_ips
    changed_families = before is None or spec.ip_families != before.ip_families
    if policy == SINGLE:
        dual = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
        if len(spec.cluster_ips) == 2 and changed_ips:
            yield wrong(field, policy, f"{dual} cluster IPs are specified")
        if len(spec.ip_families) == 2 and changed_families:
            yield wrong(field, policy, f"{dual} IP families are specified")
    elif before is not None and needs_cluster_ip(before):
        if len(before.cluster_ips) == 2 and len(spec.cluster_ips) == 1:
            yield wrong(field, policy, "must be 'SingleStack' to release the secondary cluster IP")
        if len(before.ip_families) == 2 and len(spec.ip_families) == 1:
            yield wrong(field, policy, "must be 'SingleStack' to release the secondary IP family")


def _check_configured(spec: ServiceSpec, configured: Sequence[str]) -> Causes:
    if spec.ip_family_policy == REQUIRE and len(configured) < 2:
        yield wrong("spec.ipFamilyPolicy", REQUIRE, "this cluster is not configured for dual-stack services")
    for index, family in enumerate(spec.ip_families):
        if family not in configured:
            yield wrong(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
    for index, ip in enumerate(spec.cluster_ips[len(spec.ip_families) :], start=len(spec.ip_families)):
        address = address_in(ip)
        if address and f"IPv{address.version}" not in configured:
            why = f"IPv{address.version} is not configured on this cluster"
            yield wrong(f"spec.clusterIPs[{index}]", list(spec.cluster_ips), why)
