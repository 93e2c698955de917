"""What a client makes of API servers that are not netlab's: TLS, pages, bookmarks, 410, garbage, lost connections."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from netlab.api.client import ApiClient
from netlab.api.foreign import Malformed
from netlab.api.journal import EventType
from netlab.errors import ApiError, InvalidInput
from netlab.model.access import ServerAccess
from netlab.model.objects import EndpointSlice, Service

DEADLINE = 20.0
TLS = Path(__file__).parents[1] / "golden" / "tls"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def service(name: str, version: str, **spec: object) -> dict[str, object]:
    """As a real server writes one: fields that netlab does not know, and null for what is empty."""
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": version}
    known = {"clusterIP": "10.96.0.10", "ports": None, "externalIPs": None, "newField": {"deep": [1, None]}, **spec}
    return {
        "metadata": {**metadata, "managedFields": [{"manager": "x"}]},
        "spec": known,
        "status": {"loadBalancer": {}},
    }


def listed(*items: object, version: str = "v1", rest: str = "") -> web.Response:
    metadata = {"resourceVersion": version, **({"continue": rest} if rest else {})}
    return web.json_response({"kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": list(items)})


def event(type_: str, item: object) -> bytes:
    return json.dumps({"type": type_, "object": item}).encode() + b"\n"


def gone() -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410}


@dataclass
class Script:
    """Answers to lists and watches in the order in which they are asked; then watches hang. Notes the queries."""

    lists: list[web.Response | Answer] = field(default_factory=list)
    watches: list[list[bytes] | web.Response] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        self.headers.append(dict(request.headers))
        if request.query.get("watch") != "true":
            answer = self.lists.pop(0)
            return answer if isinstance(answer, web.Response) else await answer(request)
        lines = self.watches.pop(0) if self.watches else None
        if isinstance(lines, web.Response):
            return lines
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for line in lines or ():
            await response.write(line)
        if lines is None:
            await asyncio.Event().wait()
        return response


@asynccontextmanager
async def serving(answer: Answer, *, secure: bool = False, show_client: bool = False) -> AsyncIterator[ServerAccess]:
    """An API server on a port of 127.0.0.1."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_tls(show_client=show_client) if secure else None)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield ServerAccess.at(f"{'https' if secure else 'http'}://127.0.0.1:{port}")
    finally:
        await runner.cleanup()


def _tls(*, show_client: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    if show_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(TLS / "authority.pem")
    return context


async def followed(access: ServerAccess, count: int, malformed: list[str] | None = None) -> list[tuple[str, str, str]]:
    """The first events that a client gets: type, name, version."""
    seen: list[tuple[str, str, str]] = []

    def note(found: Malformed[Service]) -> None:
        if malformed is not None:
            malformed.append(f"{found.key} {found.path}")

    async with ApiClient(access) as client, asyncio.timeout(DEADLINE):
        async for found in client.reflect(Service, label_selector="a", malformed=note):
            seen.append((found.type.value, found.object.metadata.name if found.object else "", found.version))
            if len(seen) == count:
                return seen
    return seen


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(scenario)


def test_a_long_list_is_asked_for_in_pages() -> None:
    async def scenario() -> None:
        script = Script(lists=[listed(service("one", "a"), rest="token="), listed(service("two", "b"), version="end")])
        async with serving(script) as access:
            assert await followed(access, 3) == [
                ("ADDED", "one", "end"),
                ("ADDED", "two", "end"),
                ("SYNCED", "", "end"),
            ]
        assert [query.get("continue") for query in script.queries[:2]] == [None, "token="]
        assert {query["limit"] for query in script.queries[:2]} == {"500"}

    run(scenario())


def test_a_list_whose_pages_expired_is_asked_for_whole() -> None:
    async def scenario() -> None:
        expired = web.json_response(gone(), status=410)
        script = Script(lists=[listed(service("one", "a"), rest="x"), expired, listed(service("two", "b"))])
        async with serving(script) as access:
            assert [name for _, name, _ in await followed(access, 2)] == ["two", ""]
        assert "limit" not in script.queries[2]

    run(scenario())


def test_a_watch_goes_on_from_the_last_bookmark_whatever_the_version_looks_like() -> None:
    async def scenario() -> None:
        bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "not/a number", "annotations": None}})
        script = Script(
            lists=[listed(version="start")], watches=[[bookmark], [event("ADDED", service("one", "later"))]]
        )
        async with serving(script) as access:
            assert await followed(access, 2) == [("SYNCED", "", "start"), ("ADDED", "one", "later")]
        watches = [query for query in script.queries if "watch" in query]
        assert [query["resourceVersion"] for query in watches] == ["start", "not/a number"]
        assert all(query["allowWatchBookmarks"] == "true" and int(query["timeoutSeconds"]) >= 300 for query in watches)

    run(scenario())


@pytest.mark.parametrize("where", ["in the watch", "as its status"])
def test_a_version_that_was_forgotten_makes_it_list_again_and_tell_the_difference(where: str) -> None:
    async def scenario() -> None:
        refused = web.json_response(gone(), status=410)
        script = Script(
            lists=[
                listed(service("stays", "1"), service("goes", "1")),
                listed(service("stays", "1"), service("comes", "2"), version="v2"),
            ],
            watches=[refused if where == "as its status" else [event("ERROR", gone())]],
        )
        async with serving(script) as access:
            seen = await followed(access, 5)
        assert seen[3:] == [("DELETED", "goes", "v2"), ("ADDED", "comes", "v2")]

    run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [b"<html>sign in</html>\n", b'{"type": "NONSENSE", "object": {}}\n', b"[]\n", b"\xff\xfe\n", b'{"object": 1}\n'],
    ids=["a web page", "an unknown type", "a list", "no text", "no type"],
)
def test_garbage_in_a_watch_makes_it_list_again(garbage: bytes) -> None:
    async def scenario() -> None:
        script = Script(lists=[listed(), listed(service("one", "2"), version="v2")], watches=[[garbage]])
        async with serving(script) as access:
            assert await followed(access, 2) == [("SYNCED", "", "v1"), ("ADDED", "one", "v2")]

    run(scenario())


def test_a_server_that_answers_lists_with_errors_garbage_or_nothing_is_asked_again() -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def scenario() -> None:
        forbidden = web.json_response({"kind": "Status", "code": 403, "message": "no"}, status=403)
        unready = web.Response(status=503, text="starting")
        script = Script(lists=[forbidden, unready, web.Response(text="hello"), drop, listed(service("one", "1"))])
        async with serving(script) as access:
            assert [name for _, name, _ in await followed(access, 2)] == ["one", ""]

    run(scenario())


def test_a_connection_lost_in_the_middle_of_a_line_costs_no_event() -> None:
    async def scenario() -> None:
        whole, half = event("ADDED", service("one", "v2")), event("ADDED", service("two", "v3"))
        script = Script(lists=[listed()], watches=[[whole, half[:40]], [half]])
        async with serving(script) as access:
            assert [name for _, name, _ in await followed(access, 3)] == ["", "one", "two"]
        assert [query.get("resourceVersion") for query in script.queries[1:3]] == ["v1", "v2"]

    run(scenario())


def test_an_object_that_cannot_be_read_is_named_and_the_others_come() -> None:
    async def scenario() -> None:
        broken = service("broken", "1", ports=[{"port": 99999}])
        mended = service("broken", "4", ports=[{"port": 80}])
        changes = [
            event("MODIFIED", service("fine", "2", ports="none at all")),
            event("ADDED", {"metadata": {"name": "odd", "namespace": "default"}, "spec": 7}),
            event("DELETED", {"metadata": {"name": "odd", "namespace": "default"}, "spec": 7}),
            event("MODIFIED", mended),
        ]
        script = Script(lists=[listed(broken, service("fine", "1"), "nonsense")], watches=[changes])
        malformed: list[str] = []
        async with serving(script) as access:
            seen = await followed(access, 4, malformed)
        assert [(type_, name) for type_, name, _ in seen] == [
            ("ADDED", "fine"),
            ("SYNCED", ""),
            ("DELETED", "odd"),
            ("MODIFIED", "broken"),
        ]
        assert malformed == [
            "default/broken spec.ports[0].port",
            "None/ ",
            "default/fine spec.ports",
            "default/odd spec",
        ]

    run(scenario())


def test_an_object_that_became_unreadable_is_not_gone_when_the_list_is_read_again() -> None:
    async def scenario() -> None:
        broken = service("web", "2", ports=[{"port": -1}])
        script = Script(
            lists=[listed(service("web", "1")), listed(broken, version="v2"), listed(version="v3")],
            watches=[[event("ERROR", gone())], [event("ERROR", gone())]],
        )
        async with serving(script) as access:
            seen = await followed(access, 3)
        assert seen == [("ADDED", "web", "v1"), ("SYNCED", "", "v1"), ("DELETED", "web", "v3")]

    run(scenario())


def test_the_lists_of_real_servers_have_null_for_what_is_empty() -> None:
    async def scenario() -> None:
        empty = {"metadata": {"name": "web-1", "namespace": "default"}, "addressType": "IPv4"}
        items = [{**empty, "endpoints": None, "ports": None}]
        answer = {"metadata": {"resourceVersion": "1", "creationTimestamp": None}, "items": items}

        async def list_(_: web.Request) -> web.StreamResponse:
            return web.json_response(answer)

        async with serving(list_) as access, ApiClient(access) as client, asyncio.timeout(DEADLINE):
            async for found in client.reflect(EndpointSlice):
                assert found.type is EventType.ADDED
                assert found.object is not None
                assert found.object.endpoints == ()
                return

    run(scenario())


# --- who is there, and who asks


def connected(access: ServerAccess, trust: dict[str, object]) -> ApiClient:
    return ApiClient(changed(access, **trust))  # type: ignore[arg-type]


def certified(access: ServerAccess, **more: object) -> ServerAccess:
    return changed(access, authority=(TLS / "authority.pem").read_text(), **more)  # type: ignore[arg-type]


def test_over_tls_it_believes_the_clusters_authority_and_shows_its_certificate() -> None:
    async def scenario() -> None:
        script = Script(lists=[listed(service("one", "1"))])
        async with serving(script, secure=True, show_client=True) as access:
            certificate, key = (TLS / "client.pem").read_text(), (TLS / "client.key").read_text()
            assert len(await followed(certified(access, certificate=certificate, key=key), 2)) == 2

    run(scenario())


@pytest.mark.parametrize(
    ("trust", "reaches"),
    [
        ({"authority": "authority.pem"}, True),
        ({"authority": "stranger.pem"}, False),
        ({}, False),
        ({"verify": False}, True),
        ({"authority": "authority.pem", "server_name": "kubernetes"}, True),
        ({"authority": "authority.pem", "server_name": "elsewhere"}, False),
    ],
    ids=[
        "its own authority",
        "another authority",
        "the machine's authorities",
        "anybody",
        "a name in the certificate",
        "a name that is not",
    ],
)
def test_a_server_is_believed_only_as_the_kubeconfig_says(trust: dict[str, object], reaches: bool) -> None:
    async def scenario() -> None:
        given = {
            **trust,
            **({"authority": (TLS / str(trust["authority"])).read_text()} if "authority" in trust else {}),
        }
        async with serving(Script(lists=[listed()]), secure=True) as access, connected(access, given) as client:
            if reaches:
                assert await client.list(Service) == ((), "v1")
            else:
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await client.list(Service)

    run(scenario())


def test_a_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        token = tmp_path / "token"
        script = Script(lists=[listed(), listed()])
        async with serving(script) as access, ApiClient(changed(access, token_file=token)) as client:
            for text in ("first\n", "second\n"):
                token.write_text(text)
                await client.list(Service)
        assert [sent["Authorization"] for sent in script.headers] == ["Bearer first", "Bearer second"]

    run(scenario())


def test_a_certificate_that_is_none_is_said() -> None:
    async def scenario() -> None:
        access = ServerAccess(url="https://127.0.0.1:1", authority="-----BEGIN CERTIFICATE-----\nnonsense")
        with pytest.raises(InvalidInput, match="cannot be used"):
            await ApiClient(access).__aenter__()

    run(scenario())


def test_what_a_server_refuses_comes_as_its_words() -> None:
    async def scenario() -> None:
        refused = web.json_response({"kind": "Status", "code": 403, "message": "services is forbidden"}, status=403)
        async with serving(Script(lists=[refused])) as access, ApiClient(access) as client:
            with pytest.raises(ApiError, match="services is forbidden"):
                await client.list(Service)

    run(scenario())


@pytest.mark.parametrize(
    ("text", "url", "socket"),
    [
        ("https://10.0.0.1:6443/", "https://10.0.0.1:6443", None),
        ("https://rancher/k8s/clusters/c-1", "https://rancher/k8s/clusters/c-1", None),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080", None),
        ("unix:/run/api.sock", "http://api", Path("/run/api.sock")),
        ("unix:///run/api.sock", "http://api", Path("/run/api.sock")),
    ],
)
def test_a_server_is_named_as_a_url_or_a_socket(text: str, url: str, socket: Path | None) -> None:
    assert ServerAccess.at(text) == ServerAccess(url=url, socket=socket)


@pytest.mark.parametrize("text", ["", "10.0.0.1:6443", "ftp://a", "https://", "unix:", "http://a:port", "http://[::1"])
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|neither|socket"):
        ServerAccess.at(text)
