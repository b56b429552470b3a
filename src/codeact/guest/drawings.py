"""The pictures of a cell: what it gives to `display`, its last value, and the figures that are open at its end.

matplotlib and Pillow are known by their looks and never imported: a cell that has not loaded them has no pictures.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from . import png
from .display import show
from .interrupts import open_to_interrupts

SIDE = 2000  # pixels that a figure or an image is drawn in at most
_SMALLEST = 16  # pixels: smaller it makes no sense to draw
_OF_PNG = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")  # modes of Pillow that a PNG can hold


class Drawings:
    """Collects pictures as PNGs; also a finder on sys.meta_path, which finds nothing but sees matplotlib come."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._notes: list[str] = []
        self._left_out = 0
        self._looking = False

    def begin(self) -> None:
        """Nothing is shown yet, and matplotlib is watched for."""
        self._kept, self._notes, self._left_out = [], [], 0
        if self not in sys.meta_path:
            sys.meta_path.insert(1, self)  # behind the finder that sows seeds, which wants to be the first

    def display(self, *objects: Any) -> None:
        """Show values as a last expression is shown: pictures as pictures, the rest printed."""
        for value in objects:
            if not self._take(value):
                print("None" if value is None else show(value)[1])

    def show(self, value: Any) -> tuple[str, str]:
        """The repr and the preview of a last value; one that is a picture is kept as one too."""
        self._take(value)
        return show(value)

    @property
    def opened(self) -> bool:
        """Whether there may be figures."""
        return "matplotlib.pyplot" in sys.modules

    @open_to_interrupts
    def close(self) -> None:
        """The cell is over: keep the figures that are open, and close them. Raises what an interrupt raises."""
        pyplot: Any = sys.modules["matplotlib.pyplot"]
        try:
            self._close_all(pyplot)
        except Exception as error:  # a figure that cannot be drawn, or a pyplot that is not matplotlib's
            self._notes.append(f"a figure could not be drawn: {type(error).__name__}: {str(error)[:300]}")
        finally:  # what took too long is not met again at the end of the next cell
            with suppress(Exception):
                pyplot.close("all")

    def taken(self) -> tuple[list[bytes], list[str]]:
        """The pictures of the cell, and what the model should know of them."""
        if self._left_out:
            self._notes.append(f"{png.MOST} pictures are the most of a cell: {self._left_out} more were not kept")
        return self._kept, self._notes

    def _close_all(self, pyplot: Any) -> None:
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            self._take(figure)
            pyplot.close(figure)

    def _take(self, value: Any) -> bool:
        """Keep a picture; False for what is none. The same picture is kept once."""
        draw = _way_to_draw(value)
        if draw is None:
            return False
        if len(self._kept) >= png.MOST:
            self._left_out += 1
            return True
        data = draw(value)
        if data is None:
            return False
        try:
            png.size(data)
        except ValueError as error:
            self._notes.append(f"{error}: not kept")
            return True
        if data not in self._kept:
            self._kept.append(data)
        return True

    # -- matplotlib ----------------------------------------------------------------------------------------------------

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give matplotlib a backend without a screen and a folder to write to. Have pyplot's `show` keep and close the
        figures, as a notebook does: the next plot begins a new one."""
        if name == "matplotlib":
            os.environ.setdefault("MPLBACKEND", "Agg")
            os.environ.setdefault("MPLCONFIGDIR", f"{os.environ.get('TMPDIR') or os.getcwd()}/.matplotlib")
        if name != "matplotlib.pyplot" or self._looking:
            return None
        self._looking = True
        try:
            spec = PathFinder.find_spec(name, path, target)
        finally:
            self._looking = False
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)

            def show(*args: Any, **kwargs: Any) -> None:
                """Show all open figures, and close them; with block=False they stay open, to be shown at the end."""
                if kwargs.get("block") is not False:
                    self._close_all(module)

            module.show = show

        loader.exec_module = exec_module


def _way_to_draw(value: Any) -> Callable[[Any], bytes | None] | None:
    for cls in type(value).__mro__:
        match cls.__module__, cls.__name__:
            case "matplotlib.figure", "Figure":
                return _figure
            case "PIL.Image", "Image":
                return _image
    return _own if callable(getattr(type(value), "_repr_png_", None)) else None


def _figure(figure: Any) -> bytes:
    """Drawn as it is, at its own resolution where that gives a picture of bounded sides and bytes."""
    longer = max(*figure.get_size_inches())
    dots = min(figure.get_dpi(), SIDE / longer)
    while True:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dots)
        if file.tell() <= png.LARGEST or dots * longer < 2 * _SMALLEST:
            return file.getvalue()
        dots /= 2


def _image(image: Any) -> bytes:
    if image.mode not in _OF_PNG:
        image = image.convert("L" if image.mode == "F" else "RGB")
    side = min(max(image.size), SIDE)
    while True:
        factor = side / max(image.size)
        if factor < 1:
            image = image.resize([max(round(length * factor), 1) for length in image.size])
        file = io.BytesIO()
        image.save(file, "PNG")
        if file.tell() <= png.LARGEST or side < 2 * _SMALLEST:
            return file.getvalue()
        side //= 2


def _own(value: Any) -> bytes | None:
    """What the object itself gives as its PNG; what is none is no picture."""
    data = value._repr_png_()
    return data if type(data) is bytes else None
