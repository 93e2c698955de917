"""Discovery: which groups, versions and resources there are, in the old form (a document each) and the new (in one).

Source: the kinds APIVersions, APIGroupList, APIResourceList (meta.k8s.io) and APIGroupDiscoveryList
(apidiscovery.k8s.io/v2, KEP-3352) of the Kubernetes API.
"""

from __future__ import annotations

import hashlib

from netlab.api.encoding import Json
from netlab.api.openapi.resources import GROUP_VERSIONS, Resource, Subresource, resources_of

JsonObject = dict[str, Json]
GROUPS: tuple[str, ...] = tuple(version for version in GROUP_VERSIONS if "/" in version)


def api_versions() -> JsonObject:
    """`/api`: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    }


def group_list() -> JsonObject:
    """`/apis`: the named groups."""
    groups: list[Json] = [_group(version) for version in GROUPS]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(name: str) -> JsonObject | None:
    """`/apis/apps`: one group; None where there is none of that name."""
    found = next((version for version in GROUPS if version.partition("/")[0] == name), None)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(found)} if found else None


def _group(api_version: str) -> JsonObject:
    name, _, version = api_version.partition("/")
    served: JsonObject = {"groupVersion": api_version, "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def resource_list(api_version: str) -> JsonObject | None:
    """`/apis/apps/v1`: the resources of one version; None where nothing is served there."""
    found = resources_of(api_version)
    if not found:
        return None
    resources: list[Json] = [entry for resource in found for entry in _entries(resource)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def _entries(resource: Resource) -> list[JsonObject]:
    kind = resource.kind
    own: JsonObject = {
        "name": kind.PLURAL,
        "singularName": resource.singular,
        "namespaced": kind.NAMESPACED,
        "kind": kind.__name__,
        "verbs": list(resource.verbs),
        "storageVersionHash": hashlib.sha256(f"{kind.API_VERSION}/{kind.PLURAL}".encode()).hexdigest()[:12],
    }
    if resource.short_names:
        own["shortNames"] = list(resource.short_names)
    if resource.categories:
        own["categories"] = list(resource.categories)
    return [own, *(_entry_of(resource, each) for each in resource.subresources)]


def _entry_of(resource: Resource, subresource: Subresource) -> JsonObject:
    group_of, _, version = subresource.api_version.rpartition("/")
    elsewhere: JsonObject = {"group": group_of, "version": version} if subresource.api_version else {}
    return {
        "name": f"{resource.kind.PLURAL}/{subresource.name}",
        "singularName": "",
        "namespaced": resource.kind.NAMESPACED,
        **elsewhere,
        "kind": subresource.kind,
        "verbs": list(subresource.verbs),
    }


def aggregated(*, core: bool, version: str) -> JsonObject:
    """`/api` (`core`) or `/apis` in one document, of apidiscovery.k8s.io in `version`: v2 or v2beta1."""
    wanted = ("v1",) if core else GROUPS
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_discovered_group(each) for each in wanted],
    }


def _discovered_group(api_version: str) -> JsonObject:
    name, _, version = api_version.rpartition("/")
    metadata: JsonObject = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
    resources: list[Json] = [_discovered(resource) for resource in resources_of(api_version)]
    versions: list[Json] = [{"version": version, "resources": resources, "freshness": "Current"}]
    return {"metadata": metadata, "versions": versions}


def _discovered(resource: Resource) -> JsonObject:
    kind = resource.kind
    found: JsonObject = {
        "resource": kind.PLURAL,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": kind.__name__},
        "scope": "Namespaced" if kind.NAMESPACED else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        found["shortNames"] = list(resource.short_names)
    if resource.categories:
        found["categories"] = list(resource.categories)
    if resource.subresources:
        found["subresources"] = [_discovered_part(resource, each) for each in resource.subresources]
    return found


def _discovered_part(resource: Resource, subresource: Subresource) -> JsonObject:
    group_of, _, version = (subresource.api_version or resource.api_version).rpartition("/")
    return {
        "subresource": subresource.name,
        "responseKind": {"group": group_of, "version": version, "kind": subresource.kind},
        "verbs": list(subresource.verbs),
    }
