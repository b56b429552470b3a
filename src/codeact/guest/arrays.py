"""numpy's arrays on the wall: `{"$array": {"$bytes": ...}}`, the bytes of an .npy file, as `numpy.load` reads it.

The file's header is read here and not by numpy, which allocates what a header says before it looks at what follows.
Nothing is unpickled: a dtype with objects does not cross.
"""

from __future__ import annotations

import ast
import math
import re
import sys
from typing import Any

from .crossing import MAX_BYTES, MAX_NODES, Reader, Refused, Writer, arriving, loaded

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000  # numpy's own bound
_MAX_AXES = 32
_MAX_NESTING = 16
_SIMPLE = re.compile(r"[<>|][biufcmMSUV]\d{1,9}(\[\d{0,9}[a-zA-Zμ]{1,8}\])?")


def write(value: Any, out: Writer, path: str, depth: int) -> Any:
    """The tree of an array, or None for what is no array; subclasses go as their base."""
    if not isinstance(value, loaded("numpy", "ndarray")):
        return None
    if hasattr(value, "mask"):
        raise Refused(f"{path}: a masked array does not cross; give array.filled(...), or the data and the mask")
    return {"$array": packed(value, out, path)}


def packed(value: Any, out: Writer, path: str) -> Any:
    """The tree of the .npy bytes of an array."""
    numpy = sys.modules["numpy"]
    array = numpy.asarray(value)
    if array.dtype.hasobject:
        raise Refused(f"{path}: an array of dtype {array.dtype} does not cross; give array.tolist()")
    if array.nbytes > MAX_BYTES:
        raise Refused(f"{path}: an array of {array.nbytes:,} bytes; at most {MAX_BYTES:,} cross")
    if array.dtype.names:
        array = _clean(array)
    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    descr = _descr(array.dtype, path)
    header = repr({"descr": descr, "fortran_order": fortran, "shape": array.shape}).encode("utf-8", "surrogatepass")
    header += b" " * (-(len(header) + 13) % 64) + b"\n"
    if len(header) > _MAX_HEADER:
        raise Refused(f"{path}: an array of so many fields does not cross; give a table")
    front = _MAGIC + b"\x03\x00" + len(header).to_bytes(4, "little") + header
    return out.binary(front + array.tobytes("F" if fortran else "C"))


def plain(scalar: Any, path: str) -> Any:
    """What a scalar of numpy's goes as: its `item()`; itself, if it has none. Of moments and spans that is a bare
    number where datetime has no such unit: these go as what they are, or not at all."""
    if scalar.dtype.kind not in "mM":
        return scalar.item()
    numpy = sys.modules["numpy"]
    if numpy.isnat(scalar):
        return None
    item = scalar.item()
    if type(item) is not int:
        return item
    unit, _ = numpy.datetime_data(scalar.dtype)
    rounded = scalar.astype(scalar.dtype.kind + "8[us]")
    if unit in ("ns", "ps", "fs", "as") and rounded == scalar:
        return rounded.item()
    raise Refused(f"{path}: a {type(scalar).__name__} in units of {unit} does not cross exactly; give str(value)")


def _clean(array: Any) -> Any:
    """The records without what happens to lie in memory between their fields."""
    clean = sys.modules["numpy"].zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    return clean


def _descr(dtype: Any, path: str) -> Any:
    npy = sys.modules["numpy"].lib.format
    try:
        descr = npy.dtype_to_descr(dtype)
        if _is_descr(descr) and npy.descr_to_dtype(descr) == dtype:
            return descr
    except (ValueError, TypeError):
        pass
    raise Refused(f"{path}: an array of dtype {str(dtype)[:100]} does not cross; give array.tolist()")


def read(body: Any, source: Reader, path: str, depth: int) -> Any:
    """The array of .npy bytes that came in: its own memory, writable."""
    data = source.binary(body, path)
    numpy = arriving("numpy", path, "an array", "array.tolist()")
    descr, fortran, shape, start = _header(data)
    dtype = numpy.lib.format.descr_to_dtype(descr)
    if dtype.hasobject or dtype.subdtype is not None:
        raise ValueError("a dtype that does not cross")
    size = math.prod(shape) * dtype.itemsize
    if size != len(data) - start:
        raise ValueError(f"{len(data) - start:,} bytes where its shape and dtype say {size:,}")
    order = "F" if fortran else "C"
    if not size:  # there is nothing to bound it but what may be made of it, such as a list of empty lists
        if math.prod(length or 1 for length in shape) > MAX_NODES:
            raise ValueError("too long for an array of nothing")
        return numpy.empty(shape, dtype, order)
    array = numpy.frombuffer(data, dtype, offset=start).reshape(shape, order=order)
    if not _is_sound(numpy, array):
        raise ValueError("bytes that are no values of their dtype")
    return array.copy(order="K")


def _header(data: bytes) -> tuple[Any, bool, tuple[int, ...], int]:
    """What the header says, and where it ends."""
    if data[:6] != _MAGIC or data[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise ValueError("not an .npy file")
    begin = 10 if data[6] == 1 else 12
    end = begin + int.from_bytes(data[8:begin], "little")
    if end > len(data) or end - begin > _MAX_HEADER:
        raise ValueError("a header of a wrong length")
    text = data[begin:end].decode("utf-8" if data[6] == 3 else "latin-1", "surrogatepass" if data[6] == 3 else "strict")
    try:
        header = ast.literal_eval(text.strip())
    except (SyntaxError, MemoryError, RecursionError):
        raise ValueError("a header that is no literal") from None
    if type(header) is not dict or header.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("a header of other keys")
    shape = header["shape"]
    if type(shape) is not tuple or len(shape) > _MAX_AXES or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("a shape that is none")
    if type(header["fortran_order"]) is not bool or not _is_descr(header["descr"]):
        raise ValueError("a dtype that does not cross")
    return header["descr"], header["fortran_order"], shape, end


def _is_descr(descr: Any, nesting: int = 0) -> bool:
    """Whether it describes numbers, moments, text, bytes, or records of these."""
    if type(descr) is str:
        return _SIMPLE.fullmatch(descr) is not None
    if type(descr) is tuple and len(descr) == 2:
        return _is_descr(descr[0], nesting) and _is_cells(descr[1])
    return type(descr) is list and nesting < _MAX_NESTING and all(_is_field(field, nesting) for field in descr)


def _is_field(field: Any, nesting: int) -> bool:
    if type(field) is not tuple or not 2 <= len(field) <= 3:
        return False
    names = field[0] if type(field[0]) is tuple and len(field[0]) == 2 else field[:1]  # a field may have a title, too
    return all(type(name) is str for name in names) and _is_descr(field[1], nesting + 1) and _is_cells(*field[2:])


def _is_cells(shape: Any = ()) -> bool:
    """Whether it is the shape of an array inside a record."""
    return type(shape) is tuple and len(shape) <= _MAX_AXES and all(type(n) is int and n > 0 for n in shape)


def _is_sound(numpy: Any, array: Any) -> bool:
    """Whether each bool is 0 or 1, and each text of code points: numpy takes any bytes, and fails later."""
    dtype = array.dtype
    if dtype.names:
        return all(_is_sound(numpy, array[name]) for name in dtype.names)
    if dtype.kind == "b":
        return not (array.view("u1") > 1).any()
    if dtype.kind == "U" and dtype.itemsize:
        points = numpy.ascontiguousarray(array).view(numpy.dtype("u4").newbyteorder(dtype.byteorder))
        return not (points > sys.maxunicode).any()
    return True
