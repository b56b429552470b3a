"""Pictures for a person: a line that tells of each, and, where somebody sits at a terminal, a file to open."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from codeact.core.execution import Outcome
from codeact.core.messages import Image


class Album:
    """Pictures as files in a folder of their own, made with the first one. It stays for whoever wants to look."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._count = 0

    def lines(self, outcome: Outcome, *, keep: bool) -> Iterator[str]:
        """A line for each picture of a cell: what it is and, where it is kept, its file."""
        for image in outcome.images:
            self._count += 1
            line = f"picture {self._count} ({_what(image)})"
            yield f"{line}: {self._file(image)}" if keep else line

    def _file(self, image: Image) -> str:
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="codeact-pictures-"))
            file = self._folder / f"{self._count}.png"
            file.write_bytes(image.data)
        except OSError as error:  # a full disk, say: that is no reason to stop
            return f"not kept: {error.strerror or error}"
        return str(file)


def _what(image: Image) -> str:
    sides = f"{image.size[0]}x{image.size[1]} " if image.size else ""
    return f"{sides}PNG, {max(round(len(image.data) / 1000), 1):,} kB"
