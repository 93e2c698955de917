"""kubeconfig files: which server they mean, and what is said where they cannot be used."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from netlab.errors import InvalidInput
from netlab.load.kubeconfig import load_kubeconfig
from netlab.model.access import ServerAccess

HEAD = """\
apiVersion: v1
kind: Config
current-context: here
contexts:
- {name: elsewhere, context: {cluster: other, user: other}}
- {name: here, context: {cluster: kind, user: proxy, namespace: kube-system}}
clusters:
- {name: other, cluster: {server: "https://other:6443"}}
"""
PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
DATA = base64.b64encode(PEM.encode()).decode()
CLUSTER = '- {name: kind, cluster: {server: "https://127.0.0.1:6443"}}\n'
USERS = "users:\n- {name: proxy, user: {token: abc}}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "config"
    file.write_text(text)
    return file


def read(folder: Path, cluster: str, user: str) -> ServerAccess:
    clusters = f'- {{name: kind, cluster: {{server: "https://127.0.0.1:6443"{cluster}}}}}\n'
    return load_kubeconfig(written(folder, f"{HEAD}{clusters}users:\n- {{name: proxy, user: {{{user}}}}}\n"))


def test_the_current_context_tells_the_server_and_the_user(tmp_path: Path) -> None:
    found = read(tmp_path, f", certificate-authority-data: {DATA}", "token: secret")
    assert found == ServerAccess(url="https://127.0.0.1:6443", authority=PEM, token="secret")


def test_secrets_do_not_stand_in_what_is_printed_of_it(tmp_path: Path) -> None:
    assert "secret" not in repr(read(tmp_path, "", "token: secret"))


def test_certificates_may_be_data_or_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    for name in ("ca.pem", "me.pem", "me.key"):
        (tmp_path / name).write_text(f"{PEM}{name}\n")
    files = read(tmp_path, ", certificate-authority: ca.pem", "client-certificate: me.pem, client-key: me.key")
    data = read(tmp_path, "", f"client-certificate-data: {DATA}, client-key-data: {DATA}")

    assert (files.authority, files.certificate, files.key) == (f"{PEM}ca.pem\n", f"{PEM}me.pem\n", f"{PEM}me.key\n")
    assert (data.authority, data.certificate, data.key) == ("", PEM, PEM)


def test_a_token_s_file_wins_over_a_token(tmp_path: Path) -> None:
    found = read(tmp_path, "", "token: old, tokenFile: run/token")
    assert (found.token, found.token_file) == ("", tmp_path / "run" / "token")


def test_the_server_need_not_prove_itself_where_it_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, ", insecure-skip-tls-verify: true, tls-server-name: kubernetes", "token: abc")
    assert (found.verify, found.server_name) == (False, "kubernetes")


def test_a_context_without_a_user_is_nobody(tmp_path: Path) -> None:
    text = f"{HEAD}{CLUSTER}".replace(", user: proxy", "")
    assert load_kubeconfig(written(tmp_path, text)) == ServerAccess(url="https://127.0.0.1:6443")


def test_the_lab_s_own_socket_can_stand_in_a_kubeconfig(tmp_path: Path) -> None:
    text = (HEAD + CLUSTER + USERS).replace("https://127.0.0.1:6443", "unix:/run/netlab/lab/api.sock")
    assert load_kubeconfig(written(tmp_path, text)).socket == Path("/run/netlab/lab/api.sock")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (": :", ""),
        ("kind: Config\n", "current-context: is missing"),
        ((HEAD + CLUSTER + USERS).replace("current-context: here", "current-context: her"), "did you mean here"),
        (HEAD + USERS, "there is no cluster 'kind'"),
        (HEAD + CLUSTER, "there is no user 'proxy'"),
        ((HEAD + CLUSTER + USERS).replace("https://127.0.0.1:6443", "127.0.0.1:6443"), "http(s)://HOST:PORT"),
        (HEAD + "- {name: kind, cluster: {}}\n" + USERS, "server: is missing"),
        ((HEAD + CLUSTER + USERS).replace("token: abc", "exec: {command: aws}"), "cannot log in by exec"),
        ((HEAD + CLUSTER + USERS).replace("token: abc", "username: a, password: b"), "cannot log in by username"),
        ((HEAD + CLUSTER + USERS).replace("token: abc", "client-certificate-data: '%%%'"), "base 64"),
        ((HEAD + CLUSTER + USERS).replace("token: abc", "client-certificate: absent.pem"), "there is no such file"),
        ((HEAD + CLUSTER + USERS).replace("token: abc", f"client-certificate-data: {DATA}"), "needs its key"),
    ],
    ids=[
        "an empty file",
        "no YAML",
        "no current context",
        "a context that is not there",
        "a cluster that is not there",
        "a user that is not there",
        "a server that is no URL",
        "a cluster without a server",
        "a program that fetches credentials",
        "a password",
        "data that is no base 64",
        "a certificate's file that is not there",
        "a certificate without its key",
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        load_kubeconfig(written(tmp_path, text))
    assert said in str(raised.value)
    assert str(tmp_path / "config") in str(raised.value)
