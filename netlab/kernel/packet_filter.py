"""Filter expressions as tcpdump takes them (`tcp port 80 and host 10.96.0.10`), compiled by libpcap for the kernel.

Sources: pcap-filter(7), pcap_compile(3PCAP), <pcap/bpf.h>; socket(7) and <linux/filter.h> for SO_ATTACH_FILTER.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from functools import cache

from netlab.errors import InvalidInput, MissingCapability, Problem

LIBRARIES = ("libpcap.so.0.8", "libpcap.so.1")
"""Debian's name for it, and everybody else's."""
ETHERNET = 1
"""DLT_EN10MB: what every interface of a lab speaks, loopback too."""
SNAP_LENGTH = 262144
"""Bytes of a packet that are kept, more than any has."""
ANY_NETMASK = 0xFFFFFFFF
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
INSTRUCTION_BYTES = 8
"""struct sock_filter, and libpcap's struct bpf_insn."""


class _Program(ctypes.Structure):
    """struct bpf_program: how many instructions, and where they are."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def compile_filter(expression: str) -> bytes:
    """The expression as a program for the kernel; nothing of it where all packets pass.

    InvalidInput: libpcap does not understand it, in libpcap's words. MissingCapability: there is no libpcap.
    """
    if not expression.strip():
        return b""
    library = _library()
    handle, program = library.pcap_open_dead(ETHERNET, SNAP_LENGTH), _Program()
    try:
        if library.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, ANY_NETMASK):
            said = ctypes.string_at(library.pcap_geterr(handle)).decode(errors="replace")
            raise InvalidInput([Problem("", 0, 0, "", f"{expression!r} is no filter: {said}", "man pcap-filter")])
        try:
            return ctypes.string_at(program.instructions, INSTRUCTION_BYTES * program.length)
        finally:
            library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)


def attach_filter(program: bytes, to: socket.socket) -> None:
    """Have the kernel run the program on every packet before `to` gets it. OSError where the kernel refuses it."""
    held = ctypes.create_string_buffer(program, len(program))
    given = struct.pack("HL", len(program) // INSTRUCTION_BYTES, ctypes.addressof(held))
    to.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, given)


def detach_filter(of: socket.socket) -> None:
    """Let every packet pass again."""
    of.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


@cache
def _library() -> ctypes.CDLL:
    library = _first_of(LIBRARIES)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    library.pcap_compile.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32)
    library.pcap_geterr.restype = ctypes.c_void_p
    library.pcap_geterr.argtypes = library.pcap_close.argtypes = (ctypes.c_void_p,)
    library.pcap_freecode.argtypes = (ctypes.c_void_p,)
    return library


def _first_of(names: tuple[str, ...]) -> ctypes.CDLL:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise MissingCapability("a filter needs libpcap, which is not installed", "install the package tcpdump")
