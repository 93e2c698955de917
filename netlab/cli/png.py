"""A picture as PNG, by resvg, which is there where netlab was installed with the extra `png`."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import MissingCapability

FONT_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local/share/fonts",
    Path.home() / ".fonts",
)
"""Where resvg looks, too. Without any font it would draw a picture without words, and say nothing."""
ZOOM = 2
"""Pixels of the picture for one of the layout's, so that small letters stay sharp."""


def png(svg: str) -> bytes:
    """The picture; MissingCapability where resvg, or every font, is missing."""
    try:
        import resvg_py
    except ImportError as error:
        raise MissingCapability("PNG needs resvg-py", "pip install resvg-py, or take -o svg") from error
    if not any(found for folder in FONT_FOLDERS for found in folder.rglob("*[Mm]ono*.[to]tf")):
        raise MissingCapability("there is no monospaced font here", "install the package fonts-dejavu-core")
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM))
