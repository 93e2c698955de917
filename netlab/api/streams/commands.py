"""A client at a command in a Pod: one that is run for it, or what a container runs already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from netlab.api.streams.access import Command, read, write
from netlab.api.streams.channels import Channel, Session, exit_status, failure, terminal_size
from netlab.errors import NetlabError


async def run(session: Session, start: Callable[[], Command]) -> None:
    """Attend to a command until its end, or until the client is gone: then it is given up."""
    try:
        command = start()
    except NetlabError as error:
        await session.write(Channel.ERROR, failure(str(error)))
        return
    try:
        await _attend(session, command)
    finally:
        command.close()


async def _attend(session: Session, command: Command) -> None:
    """Carry bytes both ways until the command has ended and all that it printed is sent."""
    loop = asyncio.get_running_loop()
    listening = loop.create_task(_listen(session, command))
    finishing = loop.create_task(_finish(session, command))
    try:
        await asyncio.wait((listening, finishing), return_when=asyncio.FIRST_COMPLETED)
        if finishing.done():
            finishing.result()
            return
        if listening.result():
            # The client has only ended its input, or wants to hear no more but stays for the exit status.
            await finishing
    finally:
        for task in (listening, finishing):
            task.cancel()
        await asyncio.gather(listening, finishing, return_exceptions=True)


async def _listen(session: Session, command: Command) -> bool:
    """Hand over what the client sends; False once it is gone."""
    while (message := await session.read()) is not None:
        channel, data = message
        if channel is Channel.RESIZE:
            if size := terminal_size(data):
                command.resize(columns=size[0], rows=size[1])
        elif command.stdin >= 0 and not (data and await write(command.stdin, data)):
            command.end_input()
    return False


async def _finish(session: Session, command: Command) -> None:
    channels = (Channel.STDOUT, Channel.STDERR)
    copies = (_copy(session, output, channel) for output, channel in zip(command.outputs, channels, strict=False))
    await asyncio.gather(*copies)
    await session.write(Channel.ERROR, exit_status(await command.ended()))


async def _copy(session: Session, output: int, channel: Channel) -> None:
    while data := await read(output):
        await session.write(channel, data)
