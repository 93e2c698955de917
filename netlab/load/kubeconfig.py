"""kubeconfig files: which API server is meant, and how to show who asks.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Programs that fetch credentials (`exec`,
`auth-provider`) are not run: a proxy in a network namespace of its own has nowhere to run them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from pathlib import Path

from netlab.errors import InvalidInput
from netlab.load.compose import compose
from netlab.load.nearest import did_you_mean
from netlab.load.source import decode, printable, read_text
from netlab.load.tree import Cursor, Mark, Report, Scalar
from netlab.model.access import ServerAccess

NOT_SUPPORTED = ("exec", "auth-provider", "username", "as")
START = Mark(1, 1)


def load_kubeconfig(path: Path) -> ServerAccess:
    """The API server of the file's current context. InvalidInput with every problem in the file.

    Relative names of files count from the kubeconfig's folder.
    """
    text, name = read_text(path)
    report = Report(name)
    nodes, _ = compose(printable(text, report), report)
    if not nodes and not report.errors:
        report.error(START, "", "is empty", "a kubeconfig has clusters, users, contexts and current-context")
    _raise_errors(report)
    access = _Reader(Cursor(report, nodes[0], "", nodes[0].mark), path.parent).access()
    _raise_errors(report)
    assert access is not None, "nothing was wrong"
    return access


def _raise_errors(report: Report) -> None:
    if report.errors:
        raise InvalidInput(report.sorted_errors())


class _Reader:
    def __init__(self, root: Cursor, folder: Path) -> None:
        self._root = root
        self._folder = folder

    def access(self) -> ServerAccess | None:
        """None where something was wrong, which is in the report."""
        current = self._root.get("current-context")
        context = self._named("contexts", current, "context")
        if context is None:
            return None
        cluster = self._named("clusters", context.get("cluster"), "cluster")
        access = self._server(cluster) if cluster else None
        if not context.get("user").present:
            return access
        user = self._named("users", context.get("user"), "user")
        return self._with_user(access, user) if user and access else None

    def _named(self, section: str, name: Cursor, field: str) -> Cursor | None:
        """What the list `section` has under that name."""
        if not name.text:
            name.error("is missing", f"it names one of the {section}")
            return None
        entries = {entry.get("name").text: entry for entry in self._root.get(section).items()}
        found = entries.get(name.text)
        if found is None:
            name.error(f"there is no {field} {name.text!r}", did_you_mean(name.text, entries) or _listed(entries))
            return None
        return found.get(field)

    def _server(self, cluster: Cursor) -> ServerAccess | None:
        server = cluster.get("server")
        if not server.text:
            server.error("is missing", "add server: https://HOST:PORT")
            return None
        if cluster.get("proxy-url").text:
            cluster.get("proxy-url").error("netlab goes through no proxy", "take it out")
        try:
            access = ServerAccess.at(server.text)
        except ValueError as error:
            server.error(str(error))
            return None
        insecure = cluster.get("insecure-skip-tls-verify")
        return replace(
            access,
            authority=self._pem(cluster, "certificate-authority"),
            verify=not (isinstance(insecure.node, Scalar) and insecure.node.value is True),
            server_name=cluster.get("tls-server-name").text,
        )

    def _with_user(self, access: ServerAccess, user: Cursor) -> ServerAccess:
        for name in NOT_SUPPORTED:
            if user.get(name).present:
                remedy = "use a client certificate, a token or a tokenFile"
                user.get(name).error(f"netlab cannot log in by {name}", remedy)
        certificate, key = self._pem(user, "client-certificate"), self._pem(user, "client-key")
        if bool(certificate) != bool(key):
            user.error("a client certificate needs its key, and a key its certificate")
        token_file = user.get("tokenFile").text
        return replace(
            access,
            certificate=certificate,
            key=key,
            token="" if token_file else user.get("token").text,
            token_file=self._folder / token_file if token_file else None,
        )

    def _pem(self, cursor: Cursor, name: str) -> str:
        """`NAME-data` in base 64, or the content of the file `NAME`; "" where there is neither."""
        data = cursor.get(f"{name}-data")
        if data.text:
            try:
                return decode(base64.b64decode("".join(data.text.split()), validate=True), file=data.path)
            except (binascii.Error, InvalidInput):
                data.error("is not a PEM text in base 64")
                return ""
        file = cursor.get(name)
        if not file.text:
            return ""
        try:
            return read_text(self._folder / file.text)[0]
        except InvalidInput as error:
            file.error(str(error))
            return ""


def _listed(names: dict[str, Cursor]) -> str:
    return f"there are {', '.join(filter(None, names))}" if names else ""
