"""A kube-proxy as a process: of a lab's node, of any cluster's node, or for the objects of a file."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

from netlab.agents.kube_proxy.agent import AgentOptions, KubeProxy
from netlab.agents.kube_proxy.events import ComplaintEvents
from netlab.agents.kube_proxy.incapable import say_incapable
from netlab.agents.kube_proxy.leftovers import remove_every_mode
from netlab.agents.kube_proxy.once import once
from netlab.agents.kube_proxy.server import StatusServer
from netlab.agents.kube_proxy.sources import FixedObjects, ObjectSource
from netlab.agents.kube_proxy.substitute import become
from netlab.api.agent_access import agent_access
from netlab.api.backoff import Backoff
from netlab.api.client import ApiClient
from netlab.api.foreign import Malformed
from netlab.api.journal import EventType
from netlab.errors import ApiError, MissingCapability, NetlabError
from netlab.model.access import ServerAccess
from netlab.model.objects import EndpointSlice, KubernetesObject, Node, Service, ServiceCIDR
from netlab.model.paths import LabPaths
from netlab.model.rules import Family
from netlab.model.status import ProxyResult
from netlab.model.topology import Topology, TopologySpec
from netlab.proxy.complaints import Complaint
from netlab.proxy.config import ProxyConfig
from netlab.proxy.lab_config import lab_config

RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 5.0
LISTED_WITHIN_SECONDS = 60.0
SERVED = (Node, Service, EndpointSlice)
Work = Coroutine[object, object, None]
T = TypeVar("T")
log = logging.getLogger(__name__)


def run(paths: LabPaths, node: str, *, config: ProxyConfig | None = None, options: AgentOptions | None = None) -> None:
    """Be the kube-proxy of a lab's node until SIGTERM, in its network namespace, which the process is in already.

    Without `config` the cluster's Pod ranges come from the lab's topology, and so do the families. Where the topology
    names a program for the node, the process becomes it, and the rules of netlab's kube-proxy go.
    """
    cut, access = paths.cut_off(node), agent_access(paths, f"kube-proxy-{node}")
    if cut.exists():
        access = ServerAccess(url="http://api", socket=cut)
    command = asyncio.run(_until_signal(_in_lab(access, node, config, options or AgentOptions())))
    if command:
        become(command, node=node, access=access, paths=paths)


def serve(access: ServerAccess, config: ProxyConfig, options: AgentOptions) -> None:
    """Be the kube-proxy of a node of the cluster behind that API server, in this network namespace, until SIGTERM.

    The process must have one thread. MissingCapability: no rights here, or no tables; InvalidInput: `access` cannot
    be used.
    """
    asyncio.run(_until_signal(_alone(access, config, options)))


def serve_objects(
    objects: Iterable[KubernetesObject], refused: Iterable[Complaint], config: ProxyConfig, options: AgentOptions
) -> None:
    """Be the kube-proxy of a node for these objects until SIGTERM; `refused` could not be read. See `serve`."""
    source, complaints = FixedObjects(objects), tuple(refused)

    async def work() -> None:
        await _work(KubeProxy(source, config, options, refused=complaints), options)

    asyncio.run(_until_signal(work()))


def once_from(access: ServerAccess, config: ProxyConfig) -> ProxyResult:
    """Put in place what the API server has now; NetlabError where it does not tell within a minute. See `once`."""
    try:
        objects, refused = asyncio.run(_all_objects(access, config))
    except TimeoutError:
        raise NetlabError(
            f"{access.name} did not list Nodes, Services and EndpointSlices within {LISTED_WITHIN_SECONDS:g} seconds"
        ) from None
    return once(config, objects, refused)


async def _until_signal(work: Coroutine[object, object, T]) -> T | None:
    """Let it work until it is done: its result; or until SIGTERM or SIGINT: None."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    working = loop.create_task(work)
    stopping = loop.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    ended = working.done()
    for task in (working, stopping):
        task.cancel()
    await asyncio.gather(working, stopping, return_exceptions=True)
    if ended:
        return working.result()
    log.info("stopped; the rules stay")
    return None


async def _alone(access: ServerAccess, config: ProxyConfig, options: AgentOptions) -> None:
    async with ApiClient(access) as client:
        await _following(client, config, options, tuple(Family))


async def _in_lab(
    access: ServerAccess, node: str, config: ProxyConfig | None, options: AgentOptions
) -> tuple[str, ...]:
    """Work until the topology wants another program in this one's place: its command."""
    if config is not None:
        await _alone(access, config, options)
        return ()
    async with ApiClient(access) as client:
        spec = await _topology(client)
        if command := spec.proxy_command(node):
            return command
        while True:
            families = tuple(sorted({Family(f"IPv{cidr.version}") for cidr in spec.network.service_cidrs}))
            work = _following_or_saying(client, lab_config(spec, node), options, families)
            spec = await _until_another_config(work, client, node, lab_config(spec, node))
            if command := spec.proxy_command(node):
                remove_every_mode()
                return command
            log.info("the topology says %s now", spec.proxy_mode(node))


async def _until_another_config(work: Work, client: ApiClient, node: str, config: ProxyConfig) -> TopologySpec:
    """Let it work until the topology asks for something else of this node: what the topology says then."""
    working = asyncio.create_task(work)
    changing = asyncio.create_task(_another_config(client, node, config))
    try:
        await asyncio.wait((working, changing), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()  # it never ends by itself: raises what ended it
        return changing.result()
    finally:
        for task in (working, changing):
            task.cancel()
        await asyncio.gather(working, changing, return_exceptions=True)


async def _another_config(client: ApiClient, node: str, config: ProxyConfig) -> TopologySpec:
    source: ObjectSource = client
    async for event in source.reflect(Topology):
        if event.object is not None and event.type is not EventType.DELETED:
            spec = event.object.spec
            if lab_config(spec, node) != config or spec.proxy_command(node):
                return spec
    raise AssertionError("a watch goes on for ever")


async def _following(
    client: ApiClient, config: ProxyConfig, options: AgentOptions, families: tuple[Family, ...]
) -> None:
    async with _told(client, config.node_name) as tell:
        proxy = KubeProxy(client, config, options, families=families, tell=tell, lost=lambda: client.contact.lost)
        await _work(proxy, options)


async def _following_or_saying(
    client: ApiClient, config: ProxyConfig, options: AgentOptions, families: tuple[Family, ...]
) -> None:
    """In a lab, a mode that this machine cannot do is no reason to end: the topology may ask for another one."""
    try:
        await _following(client, config, options, families)
    except MissingCapability as error:
        async with _told(client, config.node_name) as tell:
            await say_incapable(config, error, options, tell=tell)


@asynccontextmanager
async def _told(client: ApiClient, node: str) -> AsyncIterator[Callable[[Complaint], None]]:
    """What takes complaints, to be sent as Events meanwhile."""
    events = ComplaintEvents(client, node)
    sending = asyncio.create_task(events.run())
    try:
        yield events.tell
    finally:
        sending.cancel()


async def _work(agent: KubeProxy, options: AgentOptions) -> None:
    server = StatusServer(agent, health=options.health, metrics=options.metrics)
    await server.start()
    try:
        await agent.work()
    except* NetlabError as group:
        raise _first(group) from group
    finally:
        await server.close()


def _first(group: ExceptionGroup[NetlabError]) -> NetlabError:
    """One of them, as tasks fail one by one."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


async def _topology(client: ApiClient) -> TopologySpec:
    """What the lab's topology says; the defaults where the API server has none."""
    backoff = Backoff(first=RETRY_SECONDS, last=LONGEST_RETRY_SECONDS)
    while True:
        try:
            topologies, _ = await client.list(Topology)
        except (ApiError, aiohttp.ClientError, OSError) as error:
            log.info("no topology yet: %s", error)
            await asyncio.sleep(backoff.pause())
            continue
        return topologies[0].spec if topologies else TopologySpec()


async def _all_objects(access: ServerAccess, config: ProxyConfig) -> tuple[list[KubernetesObject], list[Complaint]]:
    """What the server lists of each kind."""
    objects: list[KubernetesObject] = []
    refused: list[Complaint] = []

    def refuse(malformed: Malformed[KubernetesObject]) -> None:
        refused.append(malformed.complaint())

    async with ApiClient(access) as client, asyncio.timeout(LISTED_WITHIN_SECONDS):
        source: ObjectSource = client
        for kind in SERVED:
            fields = f"metadata.name={config.node_name}" if kind is Node else ""
            async for event in source.reflect(kind, field_selector=fields, malformed=refuse):
                if event.type is EventType.SYNCED:
                    break
                if event.object is not None:
                    objects.append(event.object)
        if config.wants_service_cidrs:
            objects += await _service_cidrs(client)
    return objects, refused


async def _service_cidrs(client: ApiClient) -> tuple[ServiceCIDR, ...]:
    """Those that the server has; it may have no such kind (before 1.31, and a lab's own), or not tell who asks."""
    try:
        return (await client.list(ServiceCIDR))[0]
    except ApiError as error:
        log.info("the ranges of ClusterIPs are not known: %s", error)
        return ()
