"""A program on a terminal of its own: what is on its screen, and keys for it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.live.running import LONGEST, end_group
from tests.waiting import wait_until

_SEQUENCES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[\[(][0-?]*[ -/]*[@-~]|\x1b[=>78MNc]")
_ROWS, _COLUMNS = 50, 140
ENTER, ESCAPE = "\r", "\x1b"


class Screen:
    """What a program has shown, as running text: blanks are left out, as programs draw them by moving."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._shown = ""
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return  # the program is gone
            if not data:
                return
            with self._lock:
                self._shown += data.decode("utf-8", "replace")

    def text(self) -> str:
        """Everything that was shown since the last `forget`."""
        with self._lock:
            return re.sub(r"\s+", "", _SEQUENCES.sub("", self._shown))

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._shown = ""

    def wait_for(self, *words: str) -> None:
        """Wait until one of these is shown."""
        wanted = [re.sub(r"\s+", "", each) for each in words]
        wait_until(lambda: any(each in self.text() for each in wanted), LONGEST, f"{words} on the screen")

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._master, keys.encode())

    def close(self) -> None:
        """The program is gone."""
        self._reader.join()
        os.close(self._master)


@contextmanager
def on_a_screen(command: Sequence[str | Path], environment: dict[str, str], folder: Path) -> Iterator[tuple[Screen, int]]:
    """Run a program on a terminal while the block lasts: its screen and its process."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    child = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True
    )
    os.close(slave)
    screen = Screen(master)
    try:
        yield screen, child.pid
    finally:
        end_group(child.pid)
        child.wait()
        screen.close()
