"""`netlab proxy` as a program: against an API server by socket, URL or kubeconfig, and for the objects of a file."""

from __future__ import annotations

import asyncio
import http.server
import json
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import cast

import pytest
from kube_proxy_lab import GATEWAY, PODS, ProxyLab, proxy_lab
from proxy_objects import CASES
from waiting import until

pytestmark = pytest.mark.root
NETLAB = str(Path(sys.executable).with_name("netlab"))
TLS = Path(__file__).parents[1] / "golden" / "tls"
PORT = 16443
FLAGS = ("--node=node1", "--cluster-cidr=10.244.0.0/16", "--iptables-sync-period=1h")
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: lab
contexts: [{{name: lab, context: {{cluster: lab, user: proxy}}}}]
clusters: [{{name: lab, cluster: {{server: "https://127.0.0.1:{port}", certificate-authority: {tls}/authority.pem}}}}]
users: [{{name: proxy, user: {{client-certificate: {tls}/client.pem, client-key: {tls}/client.key}}}}]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ProxyLab]:
    """An API server and a node; no kube-proxy yet."""
    with proxy_lab(tmp_path, options=None) as found:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield found


@contextmanager
def proxy(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, as typed; ended as a service manager ends it, which must go well."""
    command = [NETLAB, "proxy", *FLAGS, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
            assert process.poll() is None, process.communicate()[1]
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
            assert (process.returncode, "the rules stay" in said, "Traceback" in said) == (0, True, False), said
        finally:
            process.kill()


def destinations() -> list[str]:
    done = subprocess.run(["iptables-legacy-save", "-t", "nat"], check=True, capture_output=True, text=True)
    return sorted(re.findall(r"--to-destination (\S+):8080", done.stdout))


async def relay(socket: Path) -> None:
    """TLS in front of the API server's socket, as a real cluster's has it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(TLS / "authority.pem")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(pump(reader, behind_writer), pump(behind_reader, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", PORT, ssl=context) as server:
        await server.serve_forever()


def start_relay(lab: ProxyLab) -> None:
    lab.start("relay", lambda: asyncio.run(relay(lab.paths.api_socket)))


def kubeconfig(folder: Path) -> Path:
    file = folder / "kubeconfig"
    file.write_text(KUBECONFIG.format(port=PORT, tls=TLS))
    return file


def test_over_a_unix_socket_it_follows_what_changes_and_packets_arrive(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(PODS[0])
    with proxy(f"--server=unix:{lab.paths.api_socket}"), lab.listen(PODS[0], 8080) as server:
        until(lambda: destinations() == [PODS[0]])
        with lab.connect("10.96.0.10", 80), server.accept()[0] as accepted:
            assert accepted.getpeername()[0] == GATEWAY

        lab.endpoints(PODS[1])

        until(lambda: destinations() == [PODS[1]])
    assert destinations() == [PODS[1]]


def test_with_a_kubeconfig_it_shows_its_certificate_and_outlives_lost_connections(
    lab: ProxyLab, tmp_path: Path
) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(PODS[0])
    start_relay(lab)
    with proxy(f"--kubeconfig={kubeconfig(tmp_path)}"):
        until(lambda: destinations() == [PODS[0]])

        lab.stop("relay", signal.SIGKILL)
        lab.endpoints(*PODS)
        assert destinations() == [PODS[0]]
        start_relay(lab)

        until(lambda: destinations() == sorted(PODS))


def test_it_waits_for_a_server_that_is_not_there_yet(lab: ProxyLab, tmp_path: Path) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(PODS[0])
    with proxy(f"--kubeconfig={kubeconfig(tmp_path)}") as process:
        assert process.stderr is not None
        until(lambda: "16443" in process.stderr.readline())  # type: ignore[union-attr]
        start_relay(lab)
        until(lambda: destinations() == [PODS[0]])


def test_once_takes_what_the_server_has_and_exits(lab: ProxyLab) -> None:
    lab.service(clusterIP="10.96.0.10")
    lab.endpoints(*PODS)

    arguments = [NETLAB, "proxy", *FLAGS, f"--server=unix:{lab.paths.api_socket}", "--once", "-o", "json"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60)

    assert json.loads(done.stdout)["rules"]["IPv4"]["nat"] > 8
    assert destinations() == sorted(PODS)


def once_in_mode_nftables(server: str) -> str:
    """What `netlab proxy --once` says on standard error; its table is there then."""
    arguments = [NETLAB, "proxy", "--node=node1", "--proxy-mode=nftables", f"--server={server}", "--once"]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60)
    return done.stderr


def serve_ranges(status: int = 200) -> None:
    """An API server that has ServiceCIDRs and nothing else, or answers that it does not know them."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ranges = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "fd00:10:96::/112"]}}
            about_ranges = "/servicecidrs" in self.path
            items = [ranges] if about_ranges else []
            body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()
            self.send_response(status if about_ranges else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.HTTPServer(("127.0.0.1", PORT), Answers).serve_forever()


def test_once_in_mode_nftables_asks_for_the_ranges_of_cluster_ips(lab: ProxyLab) -> None:
    lab.start("ranges", serve_ranges)
    cast("socket", until(lambda: connected(lab, "127.0.0.1", PORT))).close()
    once_in_mode_nftables(f"http://127.0.0.1:{PORT}")
    for family, network in (("ip", "10.96.0.0/16"), ("ip6", "fd00:10:96::/112")):
        command = ["nft", "list", "chain", family, "kube-proxy", "cluster-ips-check"]
        chain = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert f"{family} daddr {network} drop" in chain


def test_once_in_mode_nftables_does_without_ranges_where_the_server_has_none(lab: ProxyLab) -> None:
    lab.start("no-ranges", partial(serve_ranges, 404))
    cast("socket", until(lambda: connected(lab, "127.0.0.1", PORT))).close()
    said = once_in_mode_nftables(f"http://127.0.0.1:{PORT}")
    assert "the ranges of ClusterIPs are not known" in said


def test_the_objects_of_a_file_stay_served_and_come_back_when_flushed(lab: ProxyLab, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(
        (CASES / "node1.yaml").read_text() + "---\n" + (CASES / "clusterip-3ep" / "manifest.yaml").read_text()
    )
    with proxy("-f", str(file), "--metrics-bind-address=127.0.0.1:30249", "--healthz-bind-address="):
        wanted = until(destinations)
        assert lab.ask("127.0.0.1", 30249, "/proxyMode") == "iptables"
        subprocess.run(["iptables-legacy", "-t", "nat", "-F"], check=True)
        until(lambda: destinations() == wanted)


def test_in_mode_userspace_it_answers_for_the_objects_of_a_file_as_long_as_it_stays(
    lab: ProxyLab, tmp_path: Path
) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(
        "{kind: Service, metadata: {name: web}, spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}}\n---\n"
        "{kind: EndpointSlice, metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4,"
        f" ports: [{{name: '', port: 8080}}], endpoints: [{{addresses: [{PODS[0]}]}}]}}\n"
    )
    with lab.listen(PODS[0], 8080) as server:
        with (
            proxy("-f", str(file), "--proxy-mode=userspace"),
            until(lambda: connected(lab, "10.96.0.10", 80)) as client,
            server.accept()[0] as accepted,
        ):
            assert accepted.getpeername()[0] == GATEWAY
            accepted.sendall(b"here")
            assert client.recv(100) == b"here"
        with pytest.raises(ConnectionRefusedError):
            lab.connect("10.96.0.10", 80)
    subprocess.run([NETLAB, "proxy", "--cleanup"], check=True, capture_output=True)
    saved = subprocess.run(["iptables-legacy-save"], check=True, capture_output=True, text=True).stdout
    assert "KUBE-" not in saved


def connected(lab: ProxyLab, address: str, port: int) -> socket | None:
    with suppress(OSError):
        return lab.connect(address, port)
    return None


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--server=127.0.0.1:6443",), 2, "http(s)://HOST:PORT"),
        (("--kubeconfig=/nonexistent",), 2, "/nonexistent"),
        (("--server=unix:/x", "--kubeconfig=/y"), 2, "in one way"),
        (("-f", "-", "--iptables-sync-period=soon"), 2, "no duration"),
        (("-f", "-", "--iptables-sync-period=1s", "--iptables-min-sync-period=2s"), 2, "longer than"),
        (("-f", "-", "--healthz-bind-address=somewhere"), 2, "no address"),
        (("-f", "-", "--metrics-bind-address=127.0.0.1:99999"), 2, "99999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_wrong_flags_are_refused_by_name(arguments: tuple[str, ...], status: int, said: str) -> None:
    command = [NETLAB, "proxy", "--node=node1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, input="", timeout=60)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
