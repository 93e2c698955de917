"""How much memory a TLS connection takes in asyncio, at either end."""

from __future__ import annotations

from asyncio.sslproto import SSLProtocol

READ_BYTES = 32 * 1024
"""Two TLS records (RFC 8446, 5.1). asyncio's own is 256 KiB, which it fills with zeros for every connection."""


def keep_small() -> None:
    """Have the connections of this process that are opened from now on take READ_BYTES.

    A node's agents hold ten, so that the API server of a hundred nodes would need 250 MB for nothing.
    """
    SSLProtocol.max_size = READ_BYTES
