"""python-iptables, imported once and quietly, and where this machine keeps libiptc and libxtables.

Importing iptc costs 0.3-0.5 s where it is left to itself: it asks ctypes for each library, which runs ldconfig, gcc and
ld until one answers, and asks ldconfig again for the directory of the extensions. The names never change (they are part
of the ABI: libip4tc.so.2 since iptables 1.8.3, libxtables.so.12 since 1.6.2), so they are tried first and the search is
left for machines where they do not answer.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from netlab.errors import MissingCapability

SONAMES = {"c": "libc.so.6", "ip4tc": "libip4tc.so.2", "ip6tc": "libip6tc.so.2", "xtables": "libxtables.so.12"}
EXTENSIONS = "XTABLES_LIBDIR"
"""The environment variable that tells iptc where the extensions (libxt_*.so) are."""
OPTIONS_LIMIT = 64
"""More than any extension has."""
MODULE_BYTES = 1 << 20
"""More than any extension's file has."""
REMEDY = "install the package iptables (it brings libip4tc, libip6tc and libxtables) and run netlab's installer again"


@cache
def iptc() -> ModuleType:
    """The package iptc; MissingCapability where it or the libraries that it binds cannot be loaded.

    Its import spawns at most modprobe (for ip_tables and ip6_tables), changes no namespace and opens no socket.
    """
    try:
        with _known_libraries(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its sources have escape sequences that newer Pythons warn about
            module = importlib.import_module("iptc")
            module.xtables.xtables._option_lookup = _option_lookup
            return module
    except (ImportError, OSError, AttributeError) as error:
        raise MissingCapability(f"python-iptables does not load here: {error}", REMEDY) from error
    except _library_errors() as error:
        raise MissingCapability(f"python-iptables does not load here: {error}", REMEDY) from error


def _library_errors() -> tuple[type[Exception], ...]:
    """What iptc itself raises while it is imported, where it has come so far as to say it."""
    error = getattr(sys.modules.get("iptc.errors"), "XTablesError", None)
    return (error,) if isinstance(error, type) and issubclass(error, Exception) else ()


@cache
def libiptc(name: str) -> ctypes.CDLL:
    """`ip4tc` or `ip6tc`, the library behind one family's tables, with errno kept for ctypes.get_errno()."""
    iptc()
    try:
        return ctypes.CDLL(SONAMES[name], use_errno=True)
    except OSError as error:
        raise MissingCapability(f"lib{name} does not load here", REMEDY) from error


def _option_lookup(_self: object, entries: ctypes._Pointer[ctypes.Structure], name: bytes) -> ctypes.Structure | None:
    """The option of that name in an extension's table; takes the place of iptc's own, which knows one size of entry."""
    kind = type(entries.contents)
    start = ctypes.addressof(entries.contents)
    size = _entry_size(start, kind)
    for index in range(OPTIONS_LIMIT):
        entry = kind.from_address(start + index * size)
        if not entry.name:
            return None
        if entry.name == name:
            return entry
    return None


def _entry_size(start: int, kind: type[ctypes.Structure]) -> int:
    """Bytes from one struct xt_option_entry (<xtables.h>) to the next.

    iptables 1.8.11 put a field at its end without a new soname, so the library must be asked: the names of an
    extension's options lie close together in its file, and the closing entry's name is 0. Where the second name would
    be if entries had the size that iptc knows there is a small number, in the longer entries, or a name.
    """
    known = ctypes.sizeof(kind)
    first, second = (ctypes.c_size_t.from_address(start + offset).value for offset in (0, known))
    is_name = second != 0 and abs(second - first) < MODULE_BYTES
    longer = ctypes.c_size_t.from_address(start + known + ctypes.sizeof(ctypes.c_size_t)).value
    is_longer = longer != 0 and abs(longer - first) < MODULE_BYTES
    return known + ctypes.sizeof(ctypes.c_size_t) if is_longer and not is_name else known


@contextmanager
def _known_libraries() -> Iterator[None]:
    """While iptc is imported: answer its searches from SONAMES, name the extensions' directory, hide distutils.

    distutils only answers iptc's question for site-packages, which it asks of sysconfig where there is none; setuptools
    takes 0.1 s to stand in for it.
    """
    search, distutils = ctypes.util.find_library, sys.modules.get("distutils")
    ours = EXTENSIONS not in os.environ and (directory := _extensions()) is not None
    if ours:
        os.environ[EXTENSIONS] = str(directory)
    ctypes.util.find_library = lambda name: _soname(name) or (None if "xtwrapper" in name else search(name))
    sys.modules["distutils"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        ctypes.util.find_library = search
        _restore_module("distutils", distutils)
        if ours:
            del os.environ[EXTENSIONS]


def _restore_module(name: str, module: ModuleType | None) -> None:
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _soname(name: str) -> str | None:
    soname = SONAMES.get(name)
    if soname is None:
        return None
    try:
        ctypes.CDLL(soname)
    except OSError:
        return None
    return soname


def _extensions() -> Path | None:
    """Where libxtables itself looks for its extensions on Debian, Ubuntu, Fedora and Arch."""
    libraries = (f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib64", "/usr/lib")
    return next((path for path in (Path(lib, "xtables") for lib in libraries) if path.is_dir()), None)
