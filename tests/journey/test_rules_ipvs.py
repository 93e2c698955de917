"""`netlab rules` in mode ipvs: virtual servers and address sets beside the few rules."""

from __future__ import annotations

import json

import pytest
from netlab_command import PREFIX, Caller, topology

pytestmark = [pytest.mark.root, pytest.mark.ipvs]
NAME = f"{PREFIX}-rules-ipvs"


def test_virtual_servers_and_sets_are_shown_and_compared(root: Caller) -> None:
    with root.lab(NAME, topology("ipvs", name=NAME)) as lab:
        document = lab.json("rules", "node1", "--service", "web")
        tables = {table["name"]: table["chains"] for table in document["tables"] if table["family"] == "IPv4"}
        (server,) = (chain for chain in tables["ipvs"] if chain["name"].startswith("tcp 10.96.0.80:80 "))
        assert len(server["rules"]) == 2
        (addresses,) = (chain for chain in tables["ipset"] if chain["name"].startswith("KUBE-CLUSTER-IP "))
        assert "10.96.0.80,tcp:80" in {entry["rule"] for entry in addresses["rules"]}
        assert "kube-dns" not in json.dumps(document["tables"])
        assert lab.run("rules", "node1", "--diff").status == 0
        lab.ok("break", "kube-proxy-stopped", "--on", "node1")
        lab.ok("delete", "service", "web")
        done = lab.run("rules", "node1", "--diff")
        assert done.status == 1
        assert "unwanted  10.96.0.80" in done.out
