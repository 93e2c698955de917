"""`netlab graph` of a lab that is up: what is there now, not what the file once said."""

from __future__ import annotations

from netlab_command import PREFIX, Caller, topology

NAME = f"{PREFIX}-graph"


def test_the_picture_follows_the_lab(user: Caller) -> None:
    with user.lab(NAME, topology("two-nodes", name=NAME)) as lab:
        before = lab.ok("graph")
        assert before.startswith("<svg ")
        for row in lab.json("status")["pods"]:
            assert f">{row['address']}" in before
        lab.ok("delete", "pod", "web-2")
        after = lab.ok("graph", "-o", "mermaid")
        assert "web-1" in after
        assert "pod_pod_2f_web_2d_1" in after
        assert "pod_pod_2f_web_2d_2" not in after
        path = lab.caller.home / "lab.html"
        lab.ok("graph", "-w", str(path))
        assert path.read_text().startswith("<!doctype html>")


def test_a_real_packets_way_is_drawn_over_it(user: Caller) -> None:
    with user.lab(NAME, topology("two-nodes", name=NAME)) as lab:
        picture = lab.ok("graph", "--trace", "external/client", "node/node1:30080")
        assert "external/client to node/node1:30080: reached by pod/web-" in picture
        assert "node/node1 nat/PREROUTING: dst becomes 10.244." in picture


def test_without_a_lab_it_says_so(user: Caller) -> None:
    done = user.run("graph", "-l", f"{NAME}-none")
    assert (done.status, done.out) == (4, "")
