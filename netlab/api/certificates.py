"""The certificates of a cluster: an authority of its own, and what it signs. ECDSA on P-256, as small and quick as any.

Whoever has a certificate of the authority's is who its subject says: the common name is a user, the organizations are
the groups. Sources: RFC 5280; "PKI certificates and requirements" and "Authenticating" of the Kubernetes documentation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = timedelta(days=365)
AUTHORITY_YEARS = 10
LEEWAY = timedelta(hours=1)
"""How long before now a certificate begins: a machine's clock may be set back."""
LONGEST_COMMON_NAME = 64
"""RFC 5280, ub-common-name."""
DIGEST = 16
"""Characters of a hash that end a name that was too long."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, both PEM."""

    certificate: str
    key: str

    @property
    def pem(self) -> str:
        """Both, as one file."""
        return self.certificate + self.key


class Authority:
    """Signs certificates. All that it signs hold for a year from `now` (in UTC)."""

    def __init__(self, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, name: str, *, now: datetime) -> Authority:
        """A new authority, which nobody knows yet."""
        key = generate_private_key(SECP256R1())
        subject = _subject(name, ())
        builder = _builder(subject, issuer=subject, key=key, now=now, lasting=AUTHORITY_YEARS * YEAR)
        usage = _usage(signs=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def read(cls, pem: str) -> Authority:
        """An authority as `pem` gives it. ValueError: it is none."""
        key = load_pem_private_key(pem.encode(), None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError("the authority's key is none of an elliptic curve")
        return cls(x509.load_pem_x509_certificate(pem.encode()), key)

    @property
    def certificate(self) -> str:
        """What clients and servers believe in: PEM."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    @property
    def pem(self) -> str:
        """Certificate and key: whoever has this is the authority."""
        return self.certificate + _key_pem(self._key)

    def for_server(self, names: Iterable[str], *, now: datetime) -> Issued:
        """A certificate for a server that is reached by those host names and addresses."""
        alternatives = x509.SubjectAlternativeName([_name(text) for text in names])
        return self._sign(_subject("kube-apiserver", ()), ExtendedKeyUsageOID.SERVER_AUTH, alternatives, now=now)

    def for_client(self, user: str, groups: Iterable[str] = (), *, now: datetime) -> Issued:
        """A certificate for somebody who asks the server."""
        return self._sign(_subject(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, None, now=now)

    def _sign(
        self,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
        *,
        now: datetime,
    ) -> Issued:
        key = generate_private_key(SECP256R1())
        builder = _builder(subject, issuer=self._certificate.subject, key=key, now=now, lasting=YEAR)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(by, critical=False)
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, SHA256())
        return Issued(certificate.public_bytes(Encoding.PEM).decode(), _key_pem(key))


def server_names(pem: str) -> tuple[str, ...]:
    """The host names and addresses that a server's certificate is for, in its order. ValueError: it is none."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in found)


def _builder(
    subject: x509.Name, *, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, lasting: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LEEWAY)
        .not_valid_after(now + lasting)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str, groups: Iterable[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, _common_name(name))])


def _common_name(name: str) -> str:
    """The name itself where it fits; a node's may have 253 characters."""
    if len(name) <= LONGEST_COMMON_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGEST]
    return f"{name[: LONGEST_COMMON_NAME - DIGEST - 1]}-{digest}"


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_pem(key: EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
