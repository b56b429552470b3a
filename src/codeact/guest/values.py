"""The one table of values that cross the wall, both directions.

None, bool, str, finite float, int of 64 bits, list and dict with str keys cross as themselves. Tagged, as a dict of the
one key: `$int` (hex), `$float` (nan, inf, -inf), `$bytes`, `$tuple`, `$set`, `$frozenset`, `$dict` (pairs),
`$datetime`, `$date`, `$time`, `$timedelta`, `$decimal`, `$complex`, and `$secret`, a name. Where the library is on
the receiving side: `$array` (numpy), `$frame`, `$series`, `$index`, `$missing` (pandas), `$image` (Pillow).
Strings and bytes over 64 KiB travel beside the tree as blobs (`$str` and `$bytes` of a blob's index), each in one
place. Subclasses go as their base, numpy's scalars by `.item()`. Everything else is refused with its path and a way
round. What comes in is hostile: it is measured while it is read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from . import arrays, pictures, tables
from .crossing import BLOB_FROM, MAX_DEPTH, MAX_INT_BITS, MAX_NODES, Reader, Refused, Unreadable, loaded
from .hints import hint
from .scalars import BASES, READERS, SCALARS

__all__ = ["MAX_DEPTH", "MAX_NODES", "Packed", "Refused", "Unreadable", "decode", "encode", "is_same"]


class Packed:
    """A value made ready to travel: a JSON tree and its blobs."""

    __slots__ = ("blobs", "tree")

    def __init__(self, tree: Any, blobs: Sequence[bytes] = ()) -> None:
        self.tree = tree
        self.blobs = tuple(blobs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and (self.tree, self.blobs) == (other.tree, other.blobs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({self.tree!r}, {len(self.blobs)} blobs)"


_MANY = f"more than {MAX_NODES:,} items in one value; send it in parts"
_LEAST, _MOST = -(1 << 63) + 1, (1 << 63) - 1  # of an int that crosses as itself


def is_same(value: Any) -> bool:
    """Whether a value is in JSON what it is here; of some that are this is not said, to be quick."""
    cls = type(value)
    if cls is str:
        return len(value) <= BLOB_FROM
    return (cls is int and _LEAST <= value <= _MOST) or value is None or cls is bool


class _Encoder:
    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.nodes = 0
        self.open: set[int] = set()

    def refuse(self, path: str, what: str) -> Refused:
        return Refused(f"{path}: {what}")

    def encode(self, value: Any, path: str, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.refuse(path, _MANY)
        cls = type(value)
        if cls is str:
            return self.text(value)
        if value is None or cls is bool:
            return value
        if cls is int:
            return self.integer(value, path)
        if cls is float:
            return self.real(value)
        if depth > MAX_DEPTH:
            raise self.refuse(path, f"nested deeper than {MAX_DEPTH} levels")
        plain = SCALARS.get(cls)
        if plain is not None:
            tag, write = plain
            try:
                return {tag: write(value)}
            except Exception as error:  # such as one of its time zone, which may be anybody's
                raise self.unreadable(value, path, error) from None
        if cls in (bytes, bytearray):
            return self.binary(bytes(value))
        if cls in (list, tuple, set, frozenset, dict):
            return self.container(value, cls, path, depth)
        return self.other(value, path, depth)

    def text(self, value: str) -> Any:
        if len(value) <= BLOB_FROM:
            return value
        self.blobs.append(value.encode("utf-8", "surrogatepass"))
        return {"$str": len(self.blobs) - 1}

    def binary(self, value: bytes) -> Any:
        if len(value) <= BLOB_FROM:
            return {"$bytes": base64.b64encode(value).decode()}
        self.blobs.append(value)
        return {"$bytes": len(self.blobs) - 1}

    def integer(self, value: int, path: str) -> Any:
        bits = value.bit_length()
        if bits < 64:
            return value
        if bits > MAX_INT_BITS:
            raise self.refuse(path, f"an int of {bits:,} bits; at most {MAX_INT_BITS:,} cross")
        return {"$int": hex(value)}

    def real(self, value: float) -> Any:
        if value - value == 0.0:
            return value
        return {"$float": "nan" if value != value else "inf" if value > 0 else "-inf"}

    def container(self, value: Any, cls: type, path: str, depth: int) -> Any:
        if id(value) in self.open:
            raise self.refuse(path, "the value contains itself")
        self.open.add(id(value))
        try:
            if cls is dict:
                return self.mapping(value, path, depth)
            tree = self.items(_stable(value) if cls in (set, frozenset) else value, path, depth)
        except RuntimeError as error:  # changed by another thread while we read it
            raise self.refuse(path, str(error)) from None
        finally:
            self.open.discard(id(value))
        return tree if cls is list else {f"${cls.__name__}": tree}

    def items(self, items: Any, path: str, depth: int) -> list[Any]:
        """Most are as they are in JSON: of those nothing is made, not even the path that a refusal would name."""
        tree: list[Any] = []
        for i, item in enumerate(items):
            if is_same(item):
                tree.append(item)
                self.nodes += 1
            else:
                tree.append(self.encode(item, f"{path}[{i}]", depth + 1))
        if self.nodes > MAX_NODES:
            raise self.refuse(path, _MANY)
        return tree

    def mapping(self, value: dict[Any, Any], path: str, depth: int) -> Any:
        if not value:
            return {}
        if all(type(key) is str and key[:1] != "$" and len(key) <= BLOB_FROM for key in value):
            tree: dict[str, Any] = {}
            for key, item in value.items():
                if is_same(item):
                    tree[key] = item
                    self.nodes += 1
                else:
                    tree[key] = self.encode(item, f"{path}.{key:.80}", depth + 1)
            if self.nodes > MAX_NODES:
                raise self.refuse(path, _MANY)
            return tree
        return {
            "$dict": [
                [self.encode(key, f"{path} key", depth + 2), self.encode(item, f"{path}[{_short(key)}]", depth + 2)]
                for key, item in value.items()
            ]
        }

    def other(self, value: Any, path: str, depth: int) -> Any:
        try:
            return self.by_its_kind(value, path, depth)
        except Refused:
            raise
        except Exception as error:  # whatever an object does that is only asked what it is
            raise self.unreadable(value, path, error) from None

    def unreadable(self, value: Any, path: str, error: Exception) -> Refused:
        why = f"{type(error).__name__}: {str(error)[:200]}"
        return self.refuse(path, f"{type(value).__name__} does not cross ({why}); {hint(value)}")

    def by_its_kind(self, value: Any, path: str, depth: int) -> Any:
        for write in _WRITERS:
            tree = write(value, self, path, depth)
            if tree is not None:
                return tree
        if isinstance(value, loaded("numpy", "generic")):
            item = arrays.plain(value, path)
            if type(item) is not type(value):
                return self.encode(item, path, depth)
        if _is_plain_enum(value):
            raise self.refuse(path, f"{type(value).__name__} does not cross; {hint(value)}")
        for base, narrow in BASES:
            if isinstance(value, base):
                return self.encode(narrow(value), path, depth)
        raise self.refuse(path, f"{type(value).__name__} does not cross; {hint(value)}")


def _short(key: Any) -> str:
    text = repr(key) if isinstance(key, (str, int, float, bytes, tuple)) else type(key).__name__
    return text if len(text) <= 40 else text[:37] + "..."


def _is_plain_enum(value: Any) -> bool:
    return hasattr(type(value), "_member_map_") and not isinstance(value, (str, int, float))


def _stable(items: Any) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=repr)


def encode(value: Any) -> Packed:
    """Make a value ready to travel; raises Refused with the path of what does not cross."""
    if is_same(value):
        return Packed(value)
    encoder = _Encoder()
    return Packed(encoder.encode(value, "$", 0), encoder.blobs)


def _is_read(tree: Any) -> bool:
    """Whether what came in is the value that it stands for; of some that are this is not said, to be quick."""
    cls = type(tree)
    return cls is str or (cls is int and _LEAST <= tree <= _MOST) or tree is None or cls is bool


class _Decoder:
    def __init__(self, blobs: Sequence[bytes]) -> None:
        self.blobs: list[bytes | None] = list(blobs)
        self.nodes = 0

    def decode(self, tree: Any, path: str, depth: int) -> Any:
        self.nodes += 1
        self.count(path)
        cls = type(tree)
        if cls is str or tree is None or cls is bool:
            return tree
        if cls is float:
            if tree - tree != 0.0:  # JSON's 1e999
                raise Refused(f"{path}: an untagged float that is not finite")
            return tree
        if cls is int:
            if tree.bit_length() >= 64:
                raise Refused(f"{path}: an untagged int beyond 64 bits")
            return tree
        if depth > MAX_DEPTH:
            raise Refused(f"{path}: nested deeper than {MAX_DEPTH} levels")
        if cls is list:
            return self.items(tree, path, depth)
        if len(tree) == 1:
            tag, body = next(iter(tree.items()))
            if tag[:1] == "$":
                return self.tagged(tag, body, path, depth)
        found: dict[str, Any] = {}
        for key, item in tree.items():
            if key[:1] == "$":
                raise Refused(f"{path}: a tag beside other keys")
            if _is_read(item):
                found[key] = item
                self.nodes += 1
            else:
                found[key] = self.decode(item, f"{path}.{key:.80}", depth + 1)
        self.count(path)
        return found

    def items(self, tree: Any, path: str, depth: int) -> list[Any]:
        if type(tree) is not list:
            raise Refused(f"{path}: not a list")
        found: list[Any] = []
        for i, item in enumerate(tree):
            if _is_read(item):
                found.append(item)
                self.nodes += 1
            else:
                found.append(self.decode(item, f"{path}[{i}]", depth + 1))
        self.count(path)
        return found

    def count(self, path: str) -> None:
        if self.nodes > MAX_NODES:
            raise Refused(f"{path}: more than {MAX_NODES:,} items in one value")

    def tagged(self, tag: str, body: Any, path: str, depth: int) -> Any:
        try:
            if tag == "$bytes":
                return self.blob(body, path) if type(body) is int else base64.b64decode(body, validate=True)
            if tag == "$str":
                return self.blob(body, path).decode("utf-8", "surrogatepass")
            if tag in _SEQUENCES:
                return _SEQUENCES[tag](self.items(body, path, depth))
            if tag == "$dict":
                return self.pairs(body, path, depth)
            if tag in _LIBRARIES:
                return self.of_a_library(tag, body, path, depth)
            read = READERS.get(tag)
            if read is None:
                raise Refused(f"{path}: an unknown tag {tag[:40]!r}")
            return read(body)
        except Unreadable as error:
            raise error if str(error).startswith("$") else Unreadable(f"{path}: {error}") from None
        except Refused:
            raise
        except TypeError as error:
            if tag not in _HASHED:
                raise Refused(f"{path}: a malformed {tag}: {str(error)[:200]}") from None
            raise Unreadable(f"{path}: a {tag[1:]} of what can be in none: {str(error)[:200]}") from None
        except (ValueError, OverflowError, ArithmeticError, KeyError, binascii.Error, OSError) as error:
            raise Refused(f"{path}: a malformed {tag}: {str(error)[:200]}") from None

    def binary(self, tree: Any, path: str) -> bytes:
        if type(tree) is not dict or tree.keys() != {"$bytes"}:
            raise Refused(f"{path}: not bytes")
        data: bytes = self.tagged("$bytes", tree["$bytes"], path, 0)
        return data

    def text(self, tree: Any, path: str) -> str:
        if type(tree) is str:
            return tree
        if type(tree) is not dict or tree.keys() != {"$str"}:
            raise Refused(f"{path}: not a text")
        text: str = self.tagged("$str", tree["$str"], path, 0)
        return text

    def blob(self, index: Any, path: str) -> bytes:
        """A blob, given once: else a few bytes of tree could ask for it a million times."""
        if type(index) is not int:
            raise Refused(f"{path}: not the index of a blob")
        blob = self.blobs[index] if 0 <= index < len(self.blobs) else None
        if blob is None:
            raise Refused(f"{path}: no blob {index}, or one that stands elsewhere")
        self.blobs[index] = None
        return blob

    def of_a_library(self, tag: str, body: Any, path: str, depth: int) -> Any:
        try:
            return _LIBRARIES[tag](body, self, path, depth)
        except Refused:
            raise
        except MemoryError:
            raise Unreadable(f"{path}: a {tag} for which there is not enough memory") from None
        except Exception as error:  # what a library raises when its parts do not fit together may be anything
            raise Unreadable(f"{path}: a malformed {tag}: {type(error).__name__}: {str(error)[:200]}") from None

    def pairs(self, body: Any, path: str, depth: int) -> dict[Any, Any]:
        if type(body) is not list:
            raise Refused(f"{path}: $dict is not a list of pairs")
        result = {}
        for i, pair in enumerate(body):
            if type(pair) is not list or len(pair) != 2:
                raise Refused(f"{path}: $dict holds what is not a pair at {i}")
            result[self.decode(pair[0], f"{path} key {i}", depth + 2)] = self.decode(pair[1], f"{path}[{i}]", depth + 2)
        return result


# What comes of libraries; an array or a table is read by its own part of the table of values.
_WRITERS = (arrays.write, tables.write, pictures.write)
_LIBRARIES: dict[str, Callable[[Any, Reader, str, int], Any]] = {
    "$array": arrays.read,
    "$frame": tables.read_frame,
    "$series": tables.read_series,
    "$index": tables.read_index,
    "$missing": tables.read_missing,
    "$image": pictures.read,
}


_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}
_HASHED = ("$set", "$frozenset", "$dict")  # what a subclass of list or dict can be in, and its base cannot


def decode(packed: Packed) -> Any:
    """The value of a tree that came in; raises Refused for whatever is not of the table."""
    if _is_read(packed.tree):
        return packed.tree
    return _Decoder(packed.blobs).decode(packed.tree, "$", 0)
