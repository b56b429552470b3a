"""Arrays and images come back the same, bit by bit; bytes that say other than they are come to nothing."""

from __future__ import annotations

import base64
import datetime as dt
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from codeact.guest import values
from codeact.guest.values import Packed, Refused, Unreadable
from codeact.guest.wire import GUEST_WORDS, Call, Decoder, encode

SOURCE = Path(values.__file__).parent.parent.parent


def _there_and_back(value: Any) -> Any:
    """Through the bytes, as it travels."""
    frame = encode(Call("n", 1, "t", values.encode(value)))
    return values.decode(Decoder(GUEST_WORDS).feed(frame)[0].arguments)


def _assert_same(back: Any, array: Any) -> None:
    assert type(back) is numpy.ndarray
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert back.flags.writeable and back.flags.owndata


@settings(deadline=None)
@given(
    stn.arrays(
        stn.scalar_dtypes() | stn.byte_string_dtypes() | stn.unicode_string_dtypes() | stn.array_dtypes(),
        stn.array_shapes(min_dims=0, min_side=0, max_side=4),
    )
)
def test_an_array_comes_back_with_its_dtype_and_shape(array: Any) -> None:
    if array.dtype.subdtype is None and not _has_empty_cells(array.dtype):
        _assert_same(_there_and_back(array), array)


def _has_empty_cells(dtype: Any) -> bool:
    if dtype.subdtype is not None:
        return 0 in dtype.shape or _has_empty_cells(dtype.base)
    return any(_has_empty_cells(field[0]) for field in (dtype.fields or {}).values())


GRID = numpy.arange(24, dtype="i4").reshape(4, 6)
ARRAYS = {
    "a grid": GRID,
    "in Fortran's order": numpy.asfortranarray(GRID),
    "every second row": GRID[::2],
    "backwards": GRID[::-1, ::-1],
    "one number, no axes": numpy.array(5.5),
    "nothing": numpy.zeros((0, 3)),
    "big-endian": GRID.astype(">i4"),
    "bools": GRID > 5,
    "texts": numpy.array(["a", "é", "\U0001f600\0x"]),
    "bytes": numpy.array([b"a", b"bcd"]),
    "records": numpy.array([(1, 2.5, "x")], [("a", "i2"), ("b", "f8"), ("c", "U3")]),
    "records with gaps": numpy.zeros(3, numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "records in records": numpy.zeros(2, [("p", [("x", "f4", (2, 3)), ("é", "M8[ns]")]), ("n", ">u2")]),
    "moments": numpy.array(["2024-01-01", "NaT"], "M8[D]"),
    "spans": numpy.array([1, 2], "m8[25s]"),
    "half": numpy.array([1, 2], "f2"),
    "complex": numpy.array([1j]),
    "a long one": numpy.random.default_rng(1).random((400, 300)),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_all_kinds_come_back(name: str) -> None:
    array = ARRAYS[name]
    back = _there_and_back({"a": [array]})["a"][0]
    _assert_same(back, array)
    if array.flags.f_contiguous:
        assert back.flags.f_contiguous


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_subclasses_of_arrays_go_as_their_base() -> None:
    _assert_same(_there_and_back(numpy.matrix([[1, 2]])), numpy.array([[1, 2]]))
    back = _there_and_back(numpy.rec.array([(1, 2.5)], [("a", "i8"), ("b", "f8")]))
    assert type(back) is numpy.ndarray and back["b"].tolist() == [2.5]


def test_what_travels_is_a_file_that_numpy_reads() -> None:
    tree = values.encode(GRID).tree
    file = io.BytesIO(base64.b64decode(tree["$array"]["$bytes"]))
    assert (numpy.load(file, allow_pickle=False) == GRID).all()


def test_a_file_that_numpy_wrote_is_read() -> None:
    for version in ((1, 0), (2, 0)):
        file = io.BytesIO()
        numpy.lib.format.write_array(file, GRID, version)
        _assert_same(values.decode(Packed({"$array": {"$bytes": 0}}, [file.getvalue()])), GRID)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"x": numpy.array([None])}, "$.x: an array of dtype object does not cross; give array.tolist()"),
        (numpy.zeros(1, [("o", "O")]), "does not cross"),
        (numpy.array(["a"], numpy.dtypes.StringDType()), "does not cross; give array.tolist()"),
        (numpy.broadcast_to(0.5, (10**9,)), "$: an array of 8,000,000,000 bytes; at most 67,108,864 cross"),
        (numpy.dtype("i4"), "Int32DType does not cross; give str(dtype)"),
        (numpy.longdouble(1), "longdouble does not cross; give float(value)"),
        (numpy.datetime64(1, "ns"), "a datetime64 in units of ns does not cross exactly; give str(value)"),
        (numpy.timedelta64(1, "M"), "a timedelta64 in units of M does not cross exactly; give str(value)"),
        (numpy.ma.array([1], mask=[True]), "a masked array does not cross; give array.filled(...)"),
        (numpy.zeros(1, [(f"field number {n}", "i1") for n in range(1000)]), "so many fields"),
    ],
    ids=lambda part: type(part).__name__,
)  # fmt: skip
def test_an_array_that_does_not_cross_is_refused(value: Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        values.encode(value)
    assert words in str(refused.value)


def test_a_moment_of_numpys_is_never_a_bare_number() -> None:
    days = [numpy.datetime64("2024-01-02", unit) for unit in ("D", "s", "us", "ns")]
    assert [values.decode(values.encode(day)) for day in days] == [dt.date(2024, 1, 2), *[dt.datetime(2024, 1, 2)] * 3]
    assert values.decode(values.encode(numpy.timedelta64(5000, "ns"))) == dt.timedelta(microseconds=5)
    assert values.encode(numpy.datetime64("NaT", "ns")).tree is None


def _npy(header: str | bytes, data: bytes = b"", version: bytes = b"\x03\x00") -> bytes:
    raw = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    return b"\x93NUMPY" + version + len(raw).to_bytes(2 if version[0] == 1 else 4, "little") + raw + data


def _says(descr: Any, shape: Any = (1,), fortran: Any = False) -> str:
    return repr({"descr": descr, "fortran_order": fortran, "shape": shape})


HOSTILE = {
    "nothing": b"",
    "no magic": b"PK\x03\x04" + bytes(60),
    "another version": _npy(_says("<f8"), bytes(8), b"\x09\x00"),
    "a header that is cut": _npy(_says("<f8"), bytes(8))[:40],
    "a header of four GiB": b"\x93NUMPY\x03\x00" + b"\xff" * 4 + bytes(99),
    "a long header": _npy(_says("<f8") + " " * 20_000, bytes(8)),
    "no literal": _npy("__import__('os').system('true')", bytes(8)),
    "half a literal": _npy("{'descr': ", bytes(8)),
    "deep brackets": _npy("(" * 5000 + ")" * 5000),
    "many signs": _npy("-" * 9000 + "1"),
    "many sums": _npy("1" + "+1j" * 3000),
    "a null": _npy(b"\x00" * 10),
    "no text": _npy(b"\xff\xfe" * 10),
    "a list": _npy("[1, 2]"),
    "other keys": _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}", bytes(8)),
    "keys of no hash": _npy("{[]: 1}", bytes(8)),
    "objects": _npy(_says("|O"), bytes(8)),
    "objects in records": _npy(_says([("a", "|O")]), bytes(8)),
    "a type of the default": _npy(_says(None), bytes(8)),
    "a type of many words": _npy(_says("f8,f8"), bytes(16)),
    "a type that is huge": _npy(_says("<f99999999"), bytes(8)),
    "records of no name": _npy(_says([(5, "<f8")]), bytes(8)),
    "records of one name": _npy(_says([("a", "<f8"), ("a", "<f8")]), bytes(16)),
    "records in records in records": _npy(_says(eval("[('a'," * 30 + "'<f8'" + ")]" * 30)), bytes(8)),
    "records of nothing, often": _npy(_says([("a", "<f8", (0, 10**15))]), b""),
    "cells of cells": _npy(_says(("<f8", (2,))), bytes(16)),
    "a shape that is none": _npy(_says("<f8", [1]), bytes(8)),
    "a shape of bools": _npy(_says("<f8", (True,)), bytes(8)),
    "a shape below nothing": _npy(_says("<f8", (-1,)), bytes(8)),
    "a shape of minus and minus": _npy(_says("<f8", (-1, -1)), bytes(8)),
    "a shape that is huge": _npy(_says("<f8", (2**61,)), bytes(8)),
    "a shape that overflows": _npy(_says("<f8", (2**32, 2**32)), bytes(8)),
    "a shape of many axes": _npy(_says("<f8", (1,) * 100), bytes(8)),
    "a long array of nothing": _npy(_says("<f8", (2**40, 0))),
    "a long array of no bytes": _npy(_says("|S0", (2**40,))),
    "an order that is none": _npy(_says("<f8", (1,), 1), bytes(8)),
    "too few bytes": _npy(_says("<f8", (2,)), bytes(8)),
    "too many bytes": _npy(_says("<f8"), bytes(9)),
    "a bool of seven": _npy(_says("|b1"), b"\x07"),
    "a bool of seven in a record": _npy(_says([("n", "<i4"), ("b", "|b1")]), bytes(4) + b"\x07"),
    "no code point": _npy(_says("<U1"), b"\xff\xff\xff\xff"),
    "no code point, other ends": _npy(_says(">U1"), b"\x01\x00\x00\x00"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("error")
def test_bytes_that_are_no_array_are_refused_with_their_path(name: str) -> None:
    with pytest.raises(Refused, match=r"^\$\.rows\[0\]: "):
        values.decode(Packed({"rows": [{"$array": {"$bytes": 0}}]}, [HOSTILE[name]]))


@pytest.mark.parametrize("body", [0, None, "AAAA", [], {}, {"$bytes": 5}, {"$array": {}}, {"$bytes": "AAAA"}])
def test_an_array_is_made_of_bytes_alone(body: Any) -> None:
    with pytest.raises(Refused):
        values.decode(Packed({"$array": body}))


GOOD = base64.b64decode(values.encode(numpy.array([(1, True)], [("a", "i4"), ("b", "?")])).tree["$array"]["$bytes"])


@settings(deadline=None, max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
def test_an_array_with_bytes_changed_or_cut_is_an_array_or_refused(changes: Any, end: int) -> None:
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    for one in (bytes(data), bytes(data[:end])):
        try:
            array = values.decode(Packed({"$array": {"$bytes": 0}}, [one]))
        except Refused:
            continue
        assert array.nbytes <= len(GOOD)
        repr(array)


def test_a_blob_stands_in_one_place() -> None:
    for tag in ("$bytes", "$str"):
        with pytest.raises(Refused, match="stands elsewhere"):
            values.decode(Packed([{tag: 0}, {tag: 0}], [b"x" * 70_000]))


WITHOUT = """
import sys
sys.path.insert(0, sys.argv[1])
from codeact.guest import values
assert not {"numpy", "pandas", "PIL"} & set(sys.modules)
for tree in ({"$array": {"$bytes": ""}}, {"$frame": {}}, {"$series": {}}, {"$index": {}}, {"$missing": "NaT"},
             {"$image": {"$bytes": ""}}):
    try:
        values.decode(values.Packed({"rows": tree}))
    except values.Unreadable as error:
        print(error)
"""


def test_a_side_without_the_library_says_so_and_what_to_give() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", WITHOUT, str(SOURCE)], capture_output=True, text=True, env=environ, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(
        "$.rows: an array needs numpy, which cannot be imported where it should arrive (No module"
    )
    assert [line.rpartition("; ")[2] for line in lines] == [
        "give array.tolist()",
        "give frame.to_dict('records')",
        "give series.to_list()",
        "give index.to_list()",
        "give None",
        "give its bytes",
    ]
    assert issubclass(Unreadable, Refused)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_an_image_comes_back_pixel_by_pixel(mode: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = pillow.new("RGB", (40, 30), (10, 200, 90)).convert("L" if mode == "I;16" else mode)
    image = pillow.frombytes(mode, (40, 30), bytes(range(240)) * 10) if mode == "I;16" else image
    back = _there_and_back([image])[0]
    assert (back.mode, back.size, back.tobytes()) == (image.mode, image.size, image.tobytes())


@pytest.mark.parametrize("mode", ["CMYK", "F", "I", "LAB"])
def test_an_image_that_png_would_change_is_refused(mode: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    instead = r"give numpy\.asarray\(image\)" if mode in "FI" else r"give image\.convert\('RGB'\)"
    with pytest.raises(Refused, match=instead):
        values.encode(pillow.new(mode, (4, 4)))


def _png(width: int, height: int) -> bytes:
    """A PNG that says it is of this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 9999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(50), _png(100_000, 100_000), _png(2**31 - 1, 2**31 - 1), _png(0, 5), _png(9, 9)[:50]],
    ids=["nothing", "a gif", "ten billion pixels", "more", "no pixels", "cut"],
)
@pytest.mark.filterwarnings("ignore")
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    pytest.importorskip("PIL.Image")
    with pytest.raises(Refused, match=r"^\$"):
        values.decode(Packed({"$image": {"$bytes": 0}}, [data]))
