"""What kube-proxy does on a node in mode ipvs, as commands."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.model.ipvs import DEVICE
from netlab.proxy.ipvs import Spelling
from netlab.proxy.ipvs.settings import SYSCTLS
from netlab.proxy.ipvs.text import servers_text, sets_text
from netlab.proxy.save_text import save_text


def preparation(namespace: str) -> Iterator[str]:
    """Once for both families."""
    for sysctl in SYSCTLS:
        yield f"ip netns exec {namespace} sysctl -w {sysctl.key.replace('/', '.')}={sysctl.value}"
    yield f"ip -n {namespace} link add {DEVICE} type dummy"


def commands(namespace: str, spelling: Spelling, *, restore: str) -> Iterator[str]:
    """One family's sets, rules (by `restore`), virtual servers and addresses, in the order of writing."""
    yield f"ip netns exec {namespace} ipset restore <<'END'\n{sets_text(spelling.sets)}END"
    yield f"ip netns exec {namespace} {restore} --noflush <<'END'\n{save_text(spelling.tables())}END"
    yield f"ip netns exec {namespace} ipvsadm --restore <<'END'\n{servers_text(spelling.servers.values())}END"
    for address in sorted(spelling.bound, key=str):
        yield f"ip -n {namespace} address add {address}/{address.max_prefixlen} dev {DEVICE}"
