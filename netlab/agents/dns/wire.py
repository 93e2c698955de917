"""DNS messages: a query's bytes in, the response's bytes out. The only module that knows dnslib.

A query is never trusted: one question, at most one OPT record, and nothing else of it is read, so that no packet costs
more than a small one. Sources: RFC 1035 section 4, RFC 6891 (EDNS), RFC 7766 (TCP), RFC 9619 (one question).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from dnslib import AAAA, CNAME, EDNS0, NS, PTR, RR, SOA, SRV, TXT, A, DNSHeader, DNSLabel, DNSQuestion, DNSRecord
from dnslib.buffer import BufferError as Malformed
from dnslib.dns import RD, DNSError
from dnslib.label import DNSBuffer, DNSLabelError

from netlab.dns.records import (
    TTL,
    Address,
    Alias,
    Answer,
    Authority,
    Code,
    Data,
    Kind,
    Location,
    Name,
    NameServer,
    Pointer,
    Record,
    Text,
)

HEADER_SIZE = 12
PLAIN_SIZE = 512
"""Bytes of a UDP response to a client that says nothing else (RFC 1035)."""
UDP_SIZE = 1232
"""Bytes of any UDP response: what passes every link unfragmented (DNS flag day 2020)."""
TCP_SIZE = 65535
POINTER_REACH = 0x3FFF
"""Names may point back to any of the first so many bytes; beyond, dnslib would write wrong pointers."""
SMALLEST_RECORD = 12
"""Bytes of a compressed record without data."""
IN, ANY_CLASS, OPT = 1, 255, 41
TRANSFERS = (251, 252)
"""IXFR and AXFR."""
NAMING = {Kind.CNAME: CNAME, Kind.PTR: PTR, Kind.NS: NS}
"""Records that are nothing but a name."""
AUTHORITATIVE = (Code.NOERROR, Code.NXDOMAIN)
Resolve = Callable[[Name, int], Answer]
Shuffle = Callable[[Sequence[Record]], Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Query:
    """A query as far as it could be read. `code` is not NOERROR where it must be refused as it stands."""

    header: DNSHeader
    question: DNSQuestion | None = None
    edns_size: int | None = None
    """Bytes that the client takes over UDP; None without EDNS."""
    code: Code = Code.NOERROR

    @property
    def name(self) -> Name:
        return tuple(label.decode().lower() for label in self.question.qname.label) if self.question else ()

    @property
    def described(self) -> str:
        """The question for a log: name and type."""
        if self.question is None:
            return "unreadable"
        kind = int(self.question.qtype)
        return f"{self.question.qname} {Kind(kind).name if kind in list(Kind) else f'TYPE{kind}'}"


def read_query(data: bytes) -> Query | None:
    """The query, or None for what must not be answered: a response, or too little to answer to."""
    if len(data) < HEADER_SIZE:
        return None
    buffer = DNSBuffer(data)
    header = DNSHeader.parse(buffer)
    if header.get_qr():
        return None
    query = Query(header)
    if header.get_opcode():
        return replace(query, code=Code.NOTIMP)
    if header.q != 1 or header.a or header.auth:
        return replace(query, code=Code.FORMERR)
    try:
        query = replace(query, question=_read_question(buffer))
        return _with_edns(query, buffer) if header.ar else query
    except (DNSError, Malformed):
        return replace(query, code=Code.FORMERR)


def _read_question(buffer: DNSBuffer) -> DNSQuestion:
    question = DNSQuestion.parse(buffer)
    labels = question.qname.label
    if any(len(label) > 63 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise DNSError("a name of a length that no name has")
    return question


def _with_edns(query: Query, buffer: DNSBuffer) -> Query:
    """The query with what its OPT record says. Other additional records (a TSIG, say) mean nothing here."""
    root, kind, size, _extended, version = buffer.unpack("!BHHBB")
    if root or kind != OPT:
        return query
    return replace(query, edns_size=max(PLAIN_SIZE, size), code=Code.BADVERS if version else Code.NOERROR)


def respond(query: Query, resolve: Resolve, *, shuffle: Shuffle, limit: int | None = None) -> tuple[Code, bytes]:
    """The response and its code. `limit` is its greatest size in bytes; None: whatever the client takes over UDP."""
    size = limit or min(query.edns_size or PLAIN_SIZE, UDP_SIZE)
    answer = _answer(query, resolve)
    try:
        return answer.code, _pack(query, answer, size=size, shuffle=shuffle)
    except DNSLabelError:  # an externalName that Kubernetes takes and DNS does not
        failed = Answer(Code.SERVFAIL)
        return failed.code, _pack(query, failed, size=size, shuffle=shuffle)


def _answer(query: Query, resolve: Resolve) -> Answer:
    if query.code or query.question is None:
        return Answer(query.code or Code.FORMERR)
    if query.question.qclass not in (IN, ANY_CLASS) or query.question.qtype in TRANSFERS:
        return Answer(Code.REFUSED)
    return resolve(query.name, query.question.qtype)


def _pack(query: Query, answer: Answer, *, size: int, shuffle: Shuffle) -> bytes:
    """The response within `size` bytes: addresses to spare go first, then answers, of which TC then tells."""
    most = size // SMALLEST_RECORD
    answers, additional = list(shuffle(answer.answers)), answer.additional
    truncated = len(answers) > most
    del answers[most:]
    additional = additional[: most - len(answers)]
    while True:
        cut = replace(answer, answers=tuple(answers), additional=additional)
        data = _encode(query, cut, truncated=truncated)
        if len(data) <= (min(size, POINTER_REACH) if additional else size):
            return data
        if additional:
            additional = ()
        else:
            del answers[max(0, min(len(answers) - 1, len(answers) * size // len(data))) :]
            truncated = True


def _encode(query: Query, answer: Answer, *, truncated: bool) -> bytes:
    header = DNSHeader(id=query.header.id, bitmap=0, qr=1, aa=int(answer.code in AUTHORITATIVE), tc=int(truncated))
    header.set_opcode(query.header.get_opcode())
    header.set_rd(query.header.get_rd())
    header.set_rcode(answer.code & 0xF)
    response = DNSRecord(header, questions=[query.question] if query.question else [])
    response.add_answer(*_encoded(answer.answers, query))
    response.add_auth(*_encoded(answer.authority, query))
    response.add_ar(*_encoded(answer.additional, query))
    if query.edns_size is not None:
        response.add_ar(EDNS0(udp_len=UDP_SIZE, ext_rcode=answer.code >> 4))
    return bytes(response.pack())


def _encoded(records: Iterable[Record], query: Query) -> Iterable[RR]:
    """The records; one of the name that was asked for has it in the spelling in which it was asked."""
    for record in records:
        name = query.question.qname if query.question and record.name == query.name else _label(record.name)
        yield RR(name, record.data.kind, rclass=IN, ttl=TTL, rdata=_rdata(record.data))


def _label(name: Name) -> DNSLabel:
    return DNSLabel([label.encode() for label in name])


def _rdata(data: Data) -> RD:
    match data:
        case Address():
            return A(str(data.address)) if data.kind is Kind.A else AAAA(str(data.address))
        case Alias() | Pointer() | NameServer():
            return NAMING[data.kind](_label(data.target))
        case Location():
            return SRV(0, data.weight, data.port, _label(data.target))
        case Text():
            return TXT(data.text)
        case Authority():
            times = (data.serial & 0xFFFFFFFF, 7200, 1800, 86400, TTL)
            return SOA(_label(data.server), _label(data.contact), times)
