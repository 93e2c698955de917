"""What `netlab status` counts."""

from __future__ import annotations

from typing import Any

from netlab.lab.status import ready_endpoints
from netlab.model.objects import EndpointSlice


def piece(service: str, family: str, *ready: bool | None) -> EndpointSlice:
    endpoints: list[dict[str, Any]] = [
        {"addresses": [str(index)], "conditions": {"ready": each}} for index, each in enumerate(ready)
    ]
    return EndpointSlice.model_validate(
        {
            "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
            "addressType": family,
            "endpoints": endpoints,
        }
    )


def test_a_pod_with_an_address_in_each_family_is_one_endpoint() -> None:
    assert ready_endpoints([piece("web", "IPv4", True, True), piece("web", "IPv6", True, True)]) == {
        ("default", "web"): 2
    }


def test_endpoints_of_several_slices_of_a_family_add_up_and_those_that_are_not_ready_do_not_count() -> None:
    slices = [piece("web", "IPv4", True, False), piece("web", "IPv4", None), piece("db", "IPv6", False)]
    assert ready_endpoints(slices) == {("default", "web"): 2, ("default", "db"): 0}
