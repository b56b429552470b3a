"""Pillow's images on the wall: `{"$image": {"$bytes": ...}}`, the bytes of a PNG, which holds their pixels exactly.

Of what came in only the frame is looked at before its size is known; then the pixels are read.
"""

from __future__ import annotations

import io
from typing import Any

from .crossing import MAX_BYTES, Reader, Refused, Writer, arriving, loaded

_MODES = {"1": 1, "L": 1, "LA": 2, "P": 1, "RGB": 4, "RGBA": 4, "I;16": 2}  # bytes of a pixel in memory

_INSTEAD = {  # what keeps the numbers of their pixels, or what can be seen through
    **dict.fromkeys(("I", "F", "I;16B", "I;16L", "I;16N"), "numpy.asarray(image)"),
    **dict.fromkeys(("PA", "La", "RGBa"), "image.convert('RGBA')"),
}


def write(value: Any, out: Writer, path: str, depth: int) -> Any:
    """The tree of an image, or None for what is no image; its pixels, palette and transparency, not its meta data."""
    if not isinstance(value, loaded("PIL.Image", "Image")):
        return None
    if value.mode not in _MODES:
        instead = _INSTEAD.get(value.mode, "image.convert('RGB')")
        raise Refused(f"{path}: an image of mode {value.mode} does not cross; give {instead}")
    if not value.width * value.height:
        raise Refused(f"{path}: an image of {value.width} x {value.height} pixels does not cross: it is empty")
    if value.width * value.height * _MODES[value.mode] > MAX_BYTES:
        raise Refused(f"{path}: an image of {value.width} x {value.height} pixels; at most {MAX_BYTES:,} bytes cross")
    file = io.BytesIO()
    try:
        value.save(file, "PNG", icc_profile=None)
    except (ValueError, OSError) as error:
        raise Refused(f"{path}: an image that is no PNG: {str(error)[:200]}; give image.convert('RGB')") from None
    return {"$image": out.binary(file.getvalue())}


def read(body: Any, source: Reader, path: str, depth: int) -> Any:
    """The image of PNG bytes that came in, its pixels read."""
    data = source.binary(body, path)
    pillow = arriving("PIL.Image", path, "an image", "its bytes")
    with pillow.open(io.BytesIO(data), formats=["PNG"]) as image:
        size = image.width * image.height * _MODES.get(image.mode, MAX_BYTES)
        if not 0 < size <= MAX_BYTES:
            raise ValueError(f"{image.width} x {image.height} pixels of mode {image.mode}")
        image.load()
        return image.copy()
