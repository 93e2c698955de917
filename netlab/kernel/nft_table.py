"""Delete a table of nftables with all that is in it, as `nft delete table FAMILY NAME` does."""

from __future__ import annotations

import errno
from contextlib import closing

from netlab.errors import KernelError
from netlab.kernel.iptables_answers import HERE
from netlab.kernel.nft_messages import Messages
from netlab.kernel.nft_socket import NftSocket
from netlab.model.nft_tables import DeleteTable
from netlab.model.rules import Family

ABSENT = frozenset({errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""What the kernel says where there is no such table, or no nftables at all."""


def delete_table(family: Family, name: str) -> bool:
    """Delete it from the current network namespace; False where it was not there. KernelError: refused."""
    number = _deleted(family, name)
    if number and number not in ABSENT:
        raise KernelError(f"nft delete table {family} {name}", HERE, number)
    return number == 0


def _deleted(family: Family, name: str) -> int:
    """The errno of the answer, 0 where all went well."""
    try:
        with closing(NftSocket()) as by:
            refusal = by.commit([Messages(family, name).of(DeleteTable(), number=1)])
    except KernelError as error:
        return error.number
    return refusal.errno if refusal else 0
