"""What the person at the keyboard sees: lines that stay, and one live line on a terminal."""

import shutil
import sys
from typing import TextIO


class Console:
    """Writes lines; the live line is rewritten in place on a terminal and printed on change elsewhere."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._on_terminal = out.isatty()
        self._live = ""

    def say(self, line: str) -> None:
        """Print a line that stays, above the live one."""
        if self._on_terminal:
            self._write(f"\r\x1b[K{line}\n{self._cut(self._live)}")
        else:
            self._write(f"{line}\n")

    def live(self, line: str) -> None:
        """Show what happens now."""
        if line == self._live:
            return
        self._live = line
        self._write(f"\r\x1b[K{self._cut(line)}" if self._on_terminal else f"{line}\n")

    def clear(self) -> None:
        """Take the live line away."""
        if self._on_terminal and self._live:
            self._write("\r\x1b[K")
        self._live = ""

    @property
    def on_terminal(self) -> bool:
        """Whether somebody may be watching."""
        return self._on_terminal

    def _cut(self, line: str) -> str:
        return line[: shutil.get_terminal_size().columns - 1]

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:  # the terminal is gone; what runs must still be stopped in order
            self._on_terminal = False
