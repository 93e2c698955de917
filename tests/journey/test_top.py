"""`netlab top`: what goes on is counted, once each, wherever a packet went."""

from __future__ import annotations

import json
import subprocess

from netlab_command import PREFIX, Caller, topology

NAME = f"{PREFIX}-top"


def test_new_flows_of_a_service_are_counted_for_it_and_for_the_pods_that_got_them(user: Caller) -> None:
    with user.lab(NAME, topology("two-nodes", name=NAME)) as lab:
        quiet = lab.json("top", "--once", "--interval", "0.2")
        assert (quiet["kind"], quiet["lab"]) == ("Activity", NAME)
        watch = user.start(
            "top", "-l", NAME, "--once", "--interval", "5", "-o", "json", stdout=subprocess.PIPE, text=True
        )
        before = {service["service"]: service["tracked"] for service in quiet["services"]}
        pods = json.loads(lab.run("probe", "pod/shell", "service/web:80", "--count", "20", "-o", "json").out)[
            "summary"
        ]["pods"]
        found = json.loads(watch.communicate(timeout=30)[0])
        services = {service["service"]: service for service in found["services"]}
        assert services["service/web"]["tracked"] == before["service/web"] + 20
        assert services["service/web-outside"]["tracked"] == before["service/web-outside"]
        tracked = {each["pod"].removeprefix("pod/"): each["tracked"] for each in services["service/web"]["endpoints"]}
        assert tracked == pods
        assert {node["node"]: node["proxy"]["synced"] for node in found["nodes"]} == {"node1": True, "node2": True}
        assert "web-outside" in lab.ok("top", "--once", "--interval", "0.1")
