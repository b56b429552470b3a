"""What a run made, for a person: a line that tells of each picture and file and, where it is kept, its place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from codeact.core.execution import Outcome
from codeact.core.files import File, LeftOut, what
from codeact.core.messages import Image
from codeact.files import save


class Album:
    """Pictures and files in a folder of their own, made with the first one. It stays for whoever wants to look.

    `out` is where files go in its place. `saved` are those that there were, each with its place; None where it was not
    kept.
    """

    def __init__(self, out: Path | None = None) -> None:
        self._folder: Path | None = None
        self._out = out
        self._count = 0
        self.saved: list[tuple[File, Path | None]] = []

    def lines(self, outcome: Outcome, *, keep: bool) -> Iterator[str]:
        """A line for each picture of a cell: what it is and, where it is kept, its file."""
        for image in outcome.images:
            self._count += 1
            line = f"picture {self._count} ({_what(image)})"
            yield f"{line}: {self._picture(image)}" if keep else line

    def files(self, files: tuple[File, ...], left_out: tuple[LeftOut, ...], *, keep: bool) -> Iterator[str]:
        """The same for files; and a line for each that was left out."""
        for file in files:
            place, told = self._file(file) if keep else (None, "")
            self.saved.append((file, place))
            yield f"file {file.name} ({what(file)})" + (f": {told}" if keep else "")
        for one in left_out:
            yield f"left out: {one.name}: {one.why}"

    def _picture(self, image: Image) -> str:
        try:
            file = self._place() / f"{self._count}.png"
            file.write_bytes(image.data)
        except OSError as error:  # a full disk, say: that is no reason to stop
            return f"not kept: {error.strerror or error}"
        return str(file)

    def _file(self, file: File) -> tuple[Path | None, str]:
        try:
            place = save(file, self._out or self._place())
        except OSError as error:
            return None, f"not kept: {error.strerror or error}"
        return place, str(place)

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="codeact-made-"))
        return self._folder


def _what(image: Image) -> str:
    sides = f"{image.size[0]}x{image.size[1]} " if image.size else ""
    return f"{sides}PNG, {max(round(len(image.data) / 1000), 1):,} kB"
