"""What a wall is made of, by name, so that one that fails is named with what the kernel said."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """A layer could not be put up. `code` is the errno's name; nothing untrusted has run."""

    def __init__(self, layer: str, code: str, cause: str) -> None:
        super().__init__(f"{layer}: {cause}")
        self.layer = layer
        self.code = code
        self.cause = cause

    def told(self) -> dict[str, str]:
        """As it is said to the host."""
        return {"layer": self.layer, "code": self.code, "cause": self.cause}


@contextmanager
def layer(name: str) -> Iterator[None]:
    """What fails in here is this layer's failure."""
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "?")
        raise Refused(name, code, f"{code} ({error.strerror or error})") from None
