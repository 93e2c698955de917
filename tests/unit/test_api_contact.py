"""Why a request to the API server failed, in the words of a log."""

from __future__ import annotations

import aiohttp
import pytest

from netlab.api.contact import reason


def caused(error: aiohttp.ClientError, cause: Exception) -> aiohttp.ClientError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            aiohttp.ClientPayloadError("Response payload is not completed: <TransferEncodingError: 400>"),
            "the connection ended",
        ),
        (caused(aiohttp.ServerDisconnectedError(), TimeoutError(110, "Connection timed out")), "Connection timed out"),
        (
            aiohttp.ConnectionTimeoutError("Connection timeout to host https://172.18.0.2:6443/api/v1?watch=true"),
            "no answer",
        ),
        (TimeoutError(110, "Connection timed out"), "Connection timed out"),
        (aiohttp.ClientError(), "ClientError"),
    ],
)
def test_the_reason_is_the_kernels_where_there_is_one_and_short_in_any_case(
    error: aiohttp.ClientError | OSError, said: str
) -> None:
    assert reason(error) == said
