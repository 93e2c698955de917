"""The least that N Pods can cost: the same namespaces, names, cables, addresses and routes by bare netlink; no checks.

    python tests/bench/floor.py PODS        as root, in a network and mount namespace of its own; prints JSON

Written without any of netlab's code, to be what netlab is measured against. It makes a wire with a bridge, a node for
every hundred Pods with its cable and its bridge, and the Pods; requests are packed by hand and sent in large batches.
Missing are all that netlab adds: settings, permanent neighbours, hairpin mode, masquerading, checked answers.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import struct
import sys
import time

PODS_A_NODE = 100
CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 0x1000, 2
REQUEST_CREATE = 0x1 | 0x200 | 0x400
libc = ctypes.CDLL(None, use_errno=True)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", len(body) + 16, kind, REQUEST_CREATE, 0, 0) + body


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def namespace(name: str) -> tuple[int, socket.socket]:
    """A new namespace with a name; the thread is in it. Its descriptor and a netlink socket in it."""
    libc.unshare(CLONE_NEWNET)
    path = f"/run/netns/{name}"
    os.close(os.open(path, os.O_CREAT))
    libc.mount(b"/proc/thread-self/ns/net", path.encode(), None, ctypes.c_ulong(MS_BIND), None)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)


def bridge(name: bytes) -> bytes:
    info = attribute(18, attribute(1, b"bridge"))
    return message(16, struct.pack("=BxHiII", 0, 0, 0, 1, 1) + attribute(3, name) + info)


def cable(name: bytes, master: int, far: int) -> bytes:
    """A veth pair: the near end up and on its bridge, the far one `eth0` in the namespace of that descriptor."""
    peer = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(3, b"eth0\0") + attribute(28, number(far))
    info = attribute(18, attribute(1, b"veth") + attribute(2, attribute(1, peer)))
    return message(
        16, struct.pack("=BxHiII", 0, 0, 0, 1, 1) + attribute(3, name) + attribute(10, number(master)) + info
    )


def up(index: int) -> bytes:
    return message(16, struct.pack("=BxHiII", 0, 0, index, 1, 1))


def address(index: int, text: str, prefix: int) -> bytes:
    packed = socket.inet_aton(text)
    return message(20, struct.pack("=BBBBI", 2, prefix, 0, 0, index) + attribute(2, packed) + attribute(1, packed))


def route(to: str, prefix: int, via: str, index: int) -> bytes:
    header = struct.pack("=BBBBBBBBI", 2, prefix, 0, 0, 254, 3, 0, 1, 0)
    to_attribute = attribute(1, socket.inet_aton(to)) if prefix else b""
    return message(24, header + to_attribute + attribute(5, socket.inet_aton(via)) + attribute(4, number(index)))


def send(where: socket.socket, messages: list[bytes]) -> None:
    for start in range(0, len(messages), 200):
        where.send(b"".join(messages[start : start + 200]))


def build(pods: int) -> list[str]:
    """Make everything; the names of the namespaces."""
    nodes = max(2, -(-pods // PODS_A_NODE))
    places = {name: namespace(f"floor.{name}") for name in ("fabric", *(f"node{n}" for n in range(nodes)))}
    places |= {f"pod{p}": namespace(f"floor.pod{p}") for p in range(pods)}
    wire = places["fabric"][1]
    cables = [cable(f"node{n}".encode(), 2, places[f"node{n}"][0]) for n in range(nodes)]
    send(wire, [bridge(b"br0"), up(1), address(2, "172.18.0.1", 24), *cables])
    for n in range(nodes):
        here = places[f"node{n}"][1]
        send(
            here, [up(1), up(2), bridge(b"cni0"), address(2, f"172.18.0.{n + 2}", 24), address(3, f"10.244.{n}.1", 24)]
        )
        others = [route(f"10.244.{o}.0", 24, f"172.18.0.{o + 2}", 2) for o in range(nodes) if o != n]
        send(here, [route("0.0.0.0", 0, "172.18.0.1", 2), *others])
        send(here, [cable(f"veth{p:08x}".encode(), 3, places[f"pod{p}"][0]) for p in range(n, pods, nodes)])
    for p in range(pods):
        own = f"10.244.{p % nodes}"
        there = [up(1), up(2), address(2, f"{own}.{p // nodes + 2}", 24), route("0.0.0.0", 0, f"{own}.1", 2)]
        send(places[f"pod{p}"][1], there)
    for descriptor, where in places.values():
        os.close(descriptor)
        where.close()
    return [f"floor.{name}" for name in places]


def main() -> None:
    pods = int(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.makedirs("/run/netns", exist_ok=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    start = time.perf_counter()
    names = build(pods)
    made = time.perf_counter()
    libc.setns(home, CLONE_NEWNET)
    for name in names:
        libc.umount2(f"/run/netns/{name}".encode(), MNT_DETACH)
        os.unlink(f"/run/netns/{name}")
    print(json.dumps({"up": made - start, "down": time.perf_counter() - made}))


if __name__ == "__main__":
    main()
