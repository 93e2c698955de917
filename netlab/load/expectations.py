"""The `expect` block: can each line be understood, and is what it names in the file?"""

from __future__ import annotations

from netlab.dns.addon import DNS_DEPLOYMENT, DNS_SERVICE
from netlab.load.documents import Document
from netlab.load.pods import port_names
from netlab.load.references import Known, Names, missing
from netlab.load.tree import Cursor, Mapping
from netlab.model.names import Place, PlaceKind
from netlab.model.targets import Target, TargetKind, TargetProtocol, Workload, WorkloadKind
from netlab.model.topology import ExpectedVerdict


def check_expectations(topology: Cursor, there: Known) -> None:
    """Report every expectation that cannot be proved because it does not say what it means."""
    for line in topology.get("spec", "expect").items():
        check_expectation(line, there)


def check_expectation(line: Cursor, there: Known) -> None:
    """Report what is wrong with one expectation."""
    if not isinstance(line.node, Mapping):
        return
    check_place(line.get("from"), there)
    check_target(line.get("to"), there, verdict=line.get("verdict").text)
    for reached in line.get("reaches").items():
        _check_reached(reached, there)
    _check_outcome(line)


def _check_outcome(line: Cursor) -> None:
    reaches, verdict = line.get("reaches"), line.get("verdict")
    if not reaches.present and not verdict.present:
        verdicts = ", ".join(ExpectedVerdict)
        line.error("says neither reaches nor verdict", f"add reaches: [pod/NAME], or verdict: one of {verdicts}")
    elif not reaches.items() and not verdict.present:
        reaches.error("names no Pods", "name those that must answer, or write verdict: refused instead")
    elif reaches.items() and verdict.text in (*ExpectedVerdict,) and verdict.text != ExpectedVerdict.REACHED:
        verdict.error(f"a packet that is {verdict.text} reaches no Pod", "take out reaches, or verdict")


def check_place(cursor: Cursor, there: Known) -> None:
    """Report what is wrong with the name of a place."""
    if not cursor.text:
        return
    try:
        place = Place.parse(cursor.text)
    except ValueError as error:
        cursor.error(str(error))
        return
    if place.kind is PlaceKind.POD:
        _check_object(cursor, "Pod", (place.namespace, place.name), there.pods, there)
    else:
        _check_machine(cursor, place.kind, place.name, there)


def _check_machine(cursor: Cursor, kind: str, name: str, there: Known) -> None:
    names = there.nodes if kind == PlaceKind.NODE else there.externals
    if names is not None and name not in names:
        cursor.error(*missing(kind, name, names))


def _check_object(cursor: Cursor, kind: str, key: tuple[str, str], names: Names | None, there: Known) -> None:
    if names is None or key in names or (kind, key) in (("Service", DNS_SERVICE), ("Deployment", DNS_DEPLOYMENT)):
        return
    namespace, name = key
    inside = "" if namespace == "default" else f" in namespace {namespace}"
    message, remedy = missing(kind, name, [other for where, other in names if where == namespace])
    owner = next((n for where, n in there.deployments or () if where == namespace and name.startswith(f"{n}-")), None)
    if kind == "Pod" and owner and not remedy.startswith("did"):
        remedy = f"the names of a Deployment's Pods are not known before: write deployment/{owner} under reaches"
    cursor.error(message + inside, remedy)


def _check_reached(cursor: Cursor, there: Known) -> None:
    if not cursor.text:
        return
    try:
        workload = Workload.parse(cursor.text)
    except ValueError as error:
        cursor.error(str(error))
        return
    pods = workload.kind is WorkloadKind.POD
    kind, names = ("Pod", there.pods) if pods else ("Deployment", there.deployments)
    _check_object(cursor, kind, (workload.namespace, workload.name), names, there)


def check_target(cursor: Cursor, there: Known, *, verdict: str = "") -> None:
    """Report what is wrong with a target of which packets are expected to fare as `verdict` says."""
    if not cursor.text:
        return
    try:
        target = Target.parse(cursor.text)
    except ValueError as error:
        cursor.error(str(error))
        return
    key = (target.namespace, target.name)
    match target.kind:
        case TargetKind.SERVICE:
            _check_object(cursor, "Service", key, there.services, there)
            _check_service_port(cursor, target, (there.services or {}).get(key), verdict=verdict)
        case TargetKind.POD:
            _check_object(cursor, "Pod", key, there.pods, there)
            _check_pod_port(cursor, target, (there.pods or {}).get(key))
        case TargetKind.NODE | TargetKind.EXTERNAL:
            _check_machine(cursor, target.kind, target.name, there)


def _check_service_port(cursor: Cursor, target: Target, service: Document | None, *, verdict: str) -> None:
    """A port that the Service does not have is a fair target where nothing is expected to be reached."""
    if service is None or target.protocol is TargetProtocol.ICMP:
        return
    ports = service.cursor.get("spec", "ports").items()
    found = [
        (port.get("port").number, port.get("name").text, (port.get("protocol").text or "TCP").lower()) for port in ports
    ]
    meant = [port for port in found if target.port in port[:2]]
    if not meant and (isinstance(target.port, str) or verdict in ("", ExpectedVerdict.REACHED)):
        listed = ", ".join(f"{number}/{protocol}" + (f" ({name})" if name else "") for number, name, protocol in found)
        cursor.error(f"{service.title} has no port {target.port}", f"it has {listed}" if listed else "")
    elif meant and target.protocol not in [port[2] for port in meant] and verdict in ("", ExpectedVerdict.REACHED):
        protocols = " and ".join(port[2] for port in meant)
        remedy = f"write {target.host}:{target.port}/{meant[0][2]}"
        cursor.error(f"{service.title} has port {target.port} over {protocols}, not over {target.protocol}", remedy)


def _check_pod_port(cursor: Cursor, target: Target, pod: Document | None) -> None:
    """Any number may be tried; a name must be one that the Pod gives."""
    if pod is None or not isinstance(target.port, str):
        return
    names = port_names(pod.cursor.get("spec"))
    if target.port not in names:
        cursor.error(*missing("port", target.port, names))
