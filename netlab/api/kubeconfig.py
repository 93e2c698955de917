"""A kubeconfig with one access, which every client of Kubernetes takes.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64

from netlab.api.encoding import Json
from netlab.model.access import ServerAccess

KEY = "-----BEGIN PRIVATE KEY-----"


def context_name(lab: str) -> str:
    """What the lab is called in kubeconfigs."""
    return f"netlab-{lab}"


def kubeconfig(lab: str, access: ServerAccess) -> dict[str, Json]:
    """The access with its client's certificate as a kubeconfig; cluster, user and context are called after the lab."""
    name = context_name(lab)
    certificate, separator, key = access.certificate.partition(KEY)
    user: dict[str, Json] = {
        "client-certificate-data": _encoded(certificate),
        "client-key-data": _encoded(access.key or separator + key),
    }
    cluster: dict[str, Json] = {"certificate-authority-data": _encoded(access.authority), "server": access.url}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
