"""The caller's side of a pseudo-terminal: raw mode, window size, copying until the far side hangs up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import termios
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

CHUNK = 65536
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


@contextlib.contextmanager
def holding_signals() -> Iterator[None]:
    """While inside, signals that would be forwarded wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def forwarding_signals(forward: Callable[[int], None]) -> Iterator[None]:
    """While inside, signals sent to this process go to the command in the lab instead."""

    def handle(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            forward(number)

    before = {number: signal.signal(number, handle) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Terminal:
    """The terminal that the caller sits at, and the master end of the one in the lab."""

    inside: int
    outside: int
    master: int = -1

    @classmethod
    def of_caller(cls) -> Terminal | None:
        """The caller's terminal, where both standard input and standard output are one."""
        return cls(0, 1) if os.isatty(0) and os.isatty(1) else None

    def attend(self, master: int) -> None:
        """Take the far side's master end, give it the caller's window size, now and whenever it changes."""
        self.master = master
        self._resize()
        signal.signal(signal.SIGWINCH, lambda _number, _frame: self._resize())

    def _resize(self) -> None:
        size = fcntl.ioctl(self.inside, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def copy_until_hangup(self, connection: socket.socket) -> None:
        """Copy keys in and text out, until the far side hangs up or the command has ended (news on `connection`)."""
        before = termios.tcgetattr(self.inside)
        tty.setraw(self.inside, termios.TCSADRAIN)  # what was typed ahead is kept
        try:
            self._copy(connection)
        finally:
            termios.tcsetattr(self.inside, termios.TCSADRAIN, before)
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)
            os.close(self.master)

    def _copy(self, connection: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            for source in (self.inside, self.master, connection):
                selector.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self.master in ready and not self._print():
                    return
                if self.inside in ready and not self._type():
                    selector.unregister(self.inside)
                if ready == {connection}:
                    return

    def _print(self) -> bool:
        try:
            data = os.read(self.master, CHUNK)
        except OSError:  # EIO: the last process that had the terminal open is gone
            return False
        _write_all(self.outside, data)
        return bool(data)

    def _type(self) -> bool:
        data = os.read(self.inside, CHUNK)
        with contextlib.suppress(OSError):
            _write_all(self.master, data)
        return bool(data)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
