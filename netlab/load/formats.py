"""What a plain value must look like, in Kubernetes' own words where Kubernetes has a rule.

Each check gets the value as YAML read it and returns what is wrong and what would be right, or None.
Source of the wordings: what kube-apiserver 1.36 answers to such objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

from netlab.load.nearest import did_you_mean
from netlab.load.tree import Atom, Scalar
from netlab.model.names import DNS_LABEL, DNS_SUBDOMAIN

Complaint = tuple[str, str] | None
Check = Callable[[Scalar], Complaint]

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
LABEL_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
PORT_RULE = "must be between 1 and 65535, inclusive"
_LABEL_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUANTITY = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?", re.ASCII)


def shown(value: Atom) -> str:
    """A value as a problem quotes it, never longer than a line."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: Atom) -> str:
    """What a reader calls such a value."""
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", type(None): "nothing"}
    return names[type(value)]


def any_value(scalar: Scalar) -> Complaint:
    """Anything at all."""
    return None


def string(scalar: Scalar) -> Complaint:
    """A text. An unquoted number or yes is none in YAML."""
    if isinstance(scalar.value, str):
        return None
    if scalar.value is None:
        return "must be a text and is empty (null)", 'write "" for an empty text'
    return f"must be a text, not {kind_of(scalar.value)}", f'write "{scalar.text[:60]}"'


def integer(scalar: Scalar) -> Complaint:
    """A whole number of 64 bits."""
    value = scalar.value
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return "must be a whole number, not a text", f"write {int(value)} without quotes"
    return f"must be a whole number, not {_what(value)}", ""


def boolean(scalar: Scalar) -> Complaint:
    """True or false."""
    if isinstance(scalar.value, bool):
        return None
    remedy = f"write {scalar.text.lower()} without quotes" if scalar.text.lower() in ("true", "false") else ""
    return f"must be true or false, not {_what(scalar.value)}", remedy


def number(scalar: Scalar) -> Complaint:
    """A number, whole or not."""
    fits = isinstance(scalar.value, int | float) and not isinstance(scalar.value, bool)
    return None if fits else (f"must be a number, not {_what(scalar.value)}", "")


def quantity(scalar: Scalar) -> Complaint:
    """An amount: 100m, 0.5, 64Mi."""
    if not isinstance(scalar.value, bool) and _QUANTITY.fullmatch(scalar.text):
        return None
    return f"{shown(scalar.value)} is not an amount", "write for instance 100m, 0.5 or 64Mi"


def port(scalar: Scalar) -> Complaint:
    """A port number."""
    if complaint := integer(scalar):
        return complaint
    return _in_range(scalar, lowest=1, highest=65535)


def bounded(lowest: int, highest: int = 2**31 - 1) -> Check:
    """A whole number from `lowest` to `highest`."""

    def check(scalar: Scalar) -> Complaint:
        return integer(scalar) or _in_range(scalar, lowest=lowest, highest=highest)

    return check


def _in_range(scalar: Scalar, *, lowest: int, highest: int) -> Complaint:
    if isinstance(scalar.value, int) and lowest <= scalar.value <= highest:
        return None
    if highest == 2**31 - 1 and isinstance(scalar.value, int) and scalar.value < lowest:
        return f"{shown(scalar.value)}: must be greater than or equal to {lowest}", ""
    return f"{shown(scalar.value)}: must be between {lowest} and {highest}, inclusive", ""


def int_or_string(scalar: Scalar) -> Complaint:
    """A whole number, or a text such as 25%."""
    if isinstance(scalar.value, str) or not integer(scalar):
        return None
    return f"must be a whole number or a text, not {_what(scalar.value)}", ""


def port_reference(scalar: Scalar) -> Complaint:
    """A port by number or by name."""
    if not isinstance(scalar.value, str):
        return port(scalar)
    if scalar.value.isascii() and scalar.value.isdigit():
        return "must be a port number without quotes, or the name of a port", f"write {scalar.value[:6]} without quotes"
    return port_name(scalar)


def port_name(scalar: Scalar) -> Complaint:
    """The name of a container's port (IANA service name, RFC 6335)."""
    if complaint := string(scalar):
        return complaint
    name = str(scalar.value)
    if len(name) > 15:
        return f"{shown(name)}: must be no more than 15 characters", ""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        return f"{shown(name)}: must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)", _renamed(name)
    if not re.search("[a-z]", name):
        return f"{shown(name)}: must contain at least one letter (a-z)", ""
    return None


def dns_label(scalar: Scalar) -> Complaint:
    """A name of at most 63 characters without dots (RFC 1123)."""
    return string(scalar) or _name(str(scalar.value), rule=LABEL_RULE, limit=63, pattern=DNS_LABEL)


def dns_label_or_empty(scalar: Scalar) -> Complaint:
    """The same, or "" for no name."""
    return None if scalar.value == "" else dns_label(scalar)


def dns_subdomain(scalar: Scalar) -> Complaint:
    """A name of at most 253 characters (RFC 1123)."""
    return string(scalar) or _name(str(scalar.value), rule=SUBDOMAIN_RULE, limit=253, pattern=DNS_SUBDOMAIN)


def _name(name: str, *, rule: str, limit: int, pattern: re.Pattern[str]) -> Complaint:
    if not name:
        return "must not be empty", ""
    if len(name) > limit:
        return f"{shown(name)}: must be no more than {limit} characters", ""
    return None if pattern.fullmatch(name) else (f"{shown(name)}: {rule}", _renamed(name))


def _renamed(name: str) -> str:
    """The nearest valid name, as a suggestion."""
    candidate = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
    return f"for instance {candidate}" if candidate else ""


def label_value(scalar: Scalar) -> Complaint:
    """The value of a label."""
    if complaint := string(scalar):
        return complaint
    value = str(scalar.value)
    if len(value) > 63:
        return f"{shown(value)}: must be no more than 63 characters", ""
    return None if not value or _LABEL_WORD.fullmatch(value) else (f"{shown(value)}: {LABEL_VALUE_RULE}", "")


def label_key(key: str) -> Complaint:
    """The key of a label or an annotation: NAME or PREFIX/NAME."""
    prefix, slash, name = key.rpartition("/")
    if slash and not DNS_SUBDOMAIN.fullmatch(prefix):
        return f"{shown(key)}: prefix part {SUBDOMAIN_RULE}", ""
    if not name:
        return f"{shown(key)}: name part must be non-empty", ""
    if len(name) > 63:
        return f"{shown(key)}: name part must be no more than 63 characters", ""
    return None if _LABEL_WORD.fullmatch(name) else (f"{shown(key)}: {LABEL_KEY_RULE}", "")


def address(scalar: Scalar) -> Complaint:
    """An IPv4 or IPv6 address."""
    if complaint := string(scalar):
        return complaint
    return None if is_address(str(scalar.value)) else (f"{shown(scalar.value)}: must be a valid IP address", "")


def is_address(text: str) -> bool:
    """Whether this is an address, and one that means the same on every machine (no %eth0)."""
    try:
        return "%" not in str(ip_address(text))
    except ValueError:
        return False


def cluster_ip(scalar: Scalar) -> Complaint:
    """A Service's address: an address, None for a headless Service, or "" for whichever is free."""
    return None if scalar.value in ("", "None") else address(scalar)


def cidr(scalar: Scalar) -> Complaint:
    """An address range, ADDRESS/LENGTH, without bits behind the length."""
    if complaint := string(scalar):
        return complaint
    text = str(scalar.value)
    if "/" not in text and is_address(text):
        return (
            f"{shown(text)} is an address, not a range",
            f"write {text}/{32 if '.' in text else 128} for that one alone",
        )
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        return f"{shown(text)} is not an address range", "write for instance 10.244.0.0/16 or fd00:10:244::/56"
    if not re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]{1,3}", text):
        return f"{shown(text)} is not an address range", f"write {loose}"
    if ip_address(text.partition("/")[0]) != loose.network_address:
        return f"{shown(text)} has bits set behind its length", f"write {loose}"
    return None


def port_range(scalar: Scalar) -> Complaint:
    """LOWEST-HIGHEST."""
    if complaint := string(scalar):
        return complaint
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", str(scalar.value), re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= 65535:
        return f"{shown(scalar.value)} is not a range of ports", "write for instance 30000-32767"
    return None


def one_of(values: Iterable[str]) -> Check:
    """One of these words."""
    allowed = tuple(values)

    def check(scalar: Scalar) -> Complaint:
        if scalar.value in allowed:
            return None
        if isinstance(scalar.value, bool) and scalar.text in allowed:
            return string(scalar)
        supported = ", ".join(f'"{value}"' for value in allowed)
        return f"{shown(scalar.value)} is not supported: supported values: {supported}", did_you_mean(
            scalar.text, allowed
        )

    return check


def _what(value: Atom) -> str:
    return f"the text {shown(value)}" if isinstance(value, str) else kind_of(value)
