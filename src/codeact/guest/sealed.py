"""A secret as code has it: a name, and nothing behind it. Its value is put in on the host, on the way to a tool."""

from __future__ import annotations

from typing import Any, NoReturn

LONGEST = 200  # characters of a name


class Sealed:
    """What stands for a secret: given to a tool, at any depth of an argument, the tool gets the value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __repr__(self) -> str:
        return f"<secret {self.name}>"

    def __eq__(self, other: object) -> bool:
        return type(other) is Sealed and other.name == self.name

    def __hash__(self) -> int:
        return hash(("secret", self.name))

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a secret does not change")

    def __reduce__(self) -> Any:
        return Sealed, (self.name,)

    def _not_here(self, *_: Any) -> NoReturn:
        raise TypeError(f"the value of {self!r} is not in here: give it to a tool as it is, as an argument of its own")

    __add__ = __radd__ = __getitem__ = __len__ = __iter__ = _not_here

    def __getattr__(self, name: str) -> NoReturn:
        if name[:2] == "__":
            raise AttributeError(name)
        raise AttributeError(f"{self!r} has no {name}: its value is not in here; give it to a tool as it is")


Sealed.__name__ = Sealed.__qualname__ = "Secret"


def read(body: Any) -> Sealed:
    """The secret of this name. Raises TypeError, ValueError."""
    if type(body) is not str:
        raise TypeError("not a str")
    if not 0 < len(body) <= LONGEST or not body.isprintable():
        raise ValueError("not a name")
    return Sealed(body)
