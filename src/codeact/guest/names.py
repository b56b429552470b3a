"""Which names a file may have that crosses between host and guest: the rule of both ends."""

from __future__ import annotations

MOST = 255  # bytes of a whole name


def fits(name: str) -> bool:
    """Whether this is a relative path that leads nowhere else: plain parts, none of them hidden, all of it visible.

    A part that begins with a dot is hidden: many programs look for such files and do what they say.
    """
    if not name.isprintable() or "\\" in name or len(name.encode()) > MOST:  # what prints can be encoded
        return False
    return all(part and part[0] != "." for part in name.split("/"))
