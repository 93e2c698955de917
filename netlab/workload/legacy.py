"""In a lab, `iptables` is iptables-legacy: the tables that kube-proxy's iptables mode writes here.

Debian, Ubuntu and Fedora choose between legacy and nft by links in /etc/alternatives. A copy of that folder with the
iptables links turned to the legacy programs is laid over it for commands of the lab alone: the machine's choice stays.
Where there are no alternatives, a folder of links at the head of PATH does it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

ALTERNATIVES = Path("/etc/alternatives")
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
PROGRAMS = tuple(f"{family}{use}" for family in ("iptables", "ip6tables") for use in ("", "-save", "-restore"))


@dataclass(frozen=True, slots=True)
class LegacyTools:
    """What makes `iptables` the legacy one: a folder to lay over /etc/alternatives, or one to put first in PATH."""

    alternatives: Path | None = None
    programs: Path | None = None


def legacy_tools(directory: Path, *, alternatives: Path = ALTERNATIVES) -> LegacyTools:
    """Prepare in `directory`, once, what commands of a lab need; nothing where the machine has no legacy iptables."""
    overlay, programs = directory / ".alternatives", directory / ".programs"
    if overlay.exists():
        return LegacyTools(alternatives=overlay)
    if programs.exists():
        return LegacyTools(programs=programs)
    binaries = legacy_programs()
    if (alternatives / "iptables").is_symlink() and binaries:
        links = {entry.name: os.readlink(entry) for entry in alternatives.iterdir() if entry.is_symlink()}
        replaced = {name: target for name, target in binaries.items() if name in links}
        return LegacyTools(alternatives=_folder_of_links(overlay, links | replaced))
    return LegacyTools(programs=_folder_of_links(programs, binaries))


def legacy_programs() -> dict[str, str]:
    """The legacy program for each of the names `iptables`, `ip6tables-save` ..., as far as the machine has it."""
    found = {name: shutil.which(_legacy_name(name), path=":".join(SYSTEM_PATH)) for name in PROGRAMS}
    return {name: path for name, path in found.items() if path}


def _legacy_name(name: str) -> str:
    family, *use = name.split("-")
    return "-".join((family, "legacy", *use))


def _folder_of_links(folder: Path, links: dict[str, str]) -> Path:
    """Made beside its place and then renamed into it, so that nobody ever sees half of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    fresh.chmod(0o755)
    for name, target in links.items():
        (fresh / name).symlink_to(target)
    try:
        fresh.rename(folder)
    except OSError:  # another process of the lab was first
        shutil.rmtree(fresh)
    return folder
