"""The packet sockets inside the Pods, opened once and kept."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from netlab.errors import NotFound
from netlab.model.cluster import ClusterView, family_of, pod_addresses
from netlab.model.objects import Pod
from netlab.model.rules import Family, IPAddress
from netlab.model.targets import TargetProtocol
from netlab.probe.sockets import close_all, open_tap

Inside = Callable[[str], AbstractContextManager[None]]
"""Runs a block in the network namespace of that name: sockets opened in it stay there. NotFound where there is none."""

FEW_PODS = 128
"""Up to so many Pods, all of them are watched: a packet is then found wherever it went."""


class Taps:
    """A packet socket for each Pod, family and protocol that was asked for."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._taps: dict[tuple[str, Family, TargetProtocol], socket.socket] = {}

    def open(self, namespaces: Iterable[str], *, family: Family, protocol: TargetProtocol) -> tuple[socket.socket, ...]:
        """The sockets inside those network namespaces; one that is not there (any more) is passed over."""
        wanted = [(namespace, family, protocol) for namespace in dict.fromkeys(namespaces)]
        for key in wanted:
            if key not in self._taps:
                with contextlib.suppress(NotFound), self._inside(key[0]):
                    self._taps[key] = open_tap(family, protocol)
        return tuple(self._taps[key] for key in wanted if key in self._taps)

    def close(self) -> None:
        close_all(self._taps.values())
        self._taps.clear()


def watched_pods(view: ClusterView, address: IPAddress) -> tuple[Pod, ...]:
    """The Pods where a packet to the address may arrive: all, or in a big lab those that an address leads to."""
    pods = tuple(pod for pod in view.pods if not pod.spec.host_network and _speaks(pod, family_of(address)))
    if len(pods) <= FEW_PODS:
        return pods
    reachable = view.endpoint_addresses() | {address}
    return tuple(pod for pod in pods if reachable.intersection(pod_addresses(pod)))


def _speaks(pod: Pod, family: Family) -> bool:
    return any(family_of(address) is family for address in pod_addresses(pod))
