"""A file that crosses: its name, its bytes, and how it is told of to whoever does not open it."""

from __future__ import annotations

import codecs
import mimetypes
from dataclasses import dataclass, field

from .untrusted import inline

_TYPES = mimetypes.MimeTypes(filenames=())  # Python's own table, the same on every machine
_SPOKEN = {
    "text/csv": "CSV",
    "text/tab-separated-values": "TSV",
    "text/plain": "",
    "text/markdown": "Markdown",
    "text/html": "HTML",
    "text/xml": "XML",
    "text/x-python": "Python",
    "application/json": "JSON",
    "application/xml": "XML",
    "application/pdf": "PDF",
    "application/zip": "ZIP archive",
    "application/x-tar": "tar archive",
    "application/gzip": "gzip",
}
_PREVIEWED = ("text/csv", "text/tab-separated-values", "application/json")
_LOOK = 1 << 16  # bytes that are looked at
_BEGINS = 120  # characters of a preview


@dataclass(frozen=True, slots=True)
class File:
    """A file by value. `media_type` is guessed from the name where it is not given."""

    name: str
    data: bytes = field(repr=False)
    media_type: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.data, bytes):
            given = f"File({type(self.name).__name__}, {type(self.data).__name__})"
            raise TypeError(f"a file is a name and its bytes, File('rows.csv', b'...'), not {given}")
        if not self.media_type:
            object.__setattr__(self, "media_type", media_type(self.name))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was not collected, and why, in words."""

    name: str
    why: str


def media_type(name: str) -> str:
    """The type that a name stands for; `application/octet-stream` where it says nothing."""
    guessed, packed = _TYPES.guess_type(name)
    if packed is not None:
        return f"application/{packed}"
    return guessed or "application/octet-stream"


def what(file: File) -> str:
    """Its type and size, in words: `CSV text, 12.3 kB`."""
    return f"{_kind(file)}, {amount(len(file.data))}"


def described(file: File) -> str:
    """The same with how it begins, where that tells what is in it."""
    encoding = _encoding(file.data)
    if encoding is None or file.media_type not in _PREVIEWED:
        return what(file)
    text = file.data[:_LOOK].decode(encoding, "replace").lstrip("\ufeff")
    begins = "\n".join(text.split("\n", 2)[:2])[:_BEGINS]
    return f"{what(file)}, begins {inline(repr(begins), 2 * _BEGINS)}" if begins.strip() else what(file)


def amount(size: int) -> str:
    """A number of bytes as a person would say it: `512 bytes`, `12.3 kB`, `4.5 MB`."""
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_of:
            return f"{size / bytes_of:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} byte{'' if size == 1 else 's'}"


def _kind(file: File) -> str:
    encoding = _encoding(file.data)
    media = inline(file.media_type, 60)
    spoken = _SPOKEN.get(media)
    if spoken is None:
        kind, _, name = media.partition("/")
        spoken = f"{name.removeprefix('x-').upper()} {kind}" if kind in ("image", "audio", "video") else media
    if encoding is None:
        return "binary data" if spoken in ("", "application/octet-stream") else spoken
    spoken = "" if spoken == "application/octet-stream" else spoken
    told = "" if encoding == "utf-8" else f" ({encoding})" if encoding != "latin-1" else " (not UTF-8)"
    return f"{spoken} text".strip() + told


def _encoding(data: bytes) -> str | None:
    """How text is written down, as far as its beginning tells; None of what is not text."""
    head = data[:_LOOK]
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if any(byte < 9 or 13 < byte < 27 for byte in set(head)):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, len(head) == len(data))
    except UnicodeDecodeError:
        return "latin-1" if sum(byte > 126 for byte in head) < len(head) / 3 else None
    return "utf-8"
