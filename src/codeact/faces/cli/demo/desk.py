"""The demo's tools: they run on the host, and the code in the sandbox calls them."""

from __future__ import annotations

import csv
from importlib.resources import files

from codeact.tools.function import tool

_TABLES = {"michelson_1879": "michelson_1879.csv"}

_CONSTANTS: dict[str, dict[str, float | str]] = {
    "speed of light": {
        "value": 299_792.458,
        "unit": "km/s",
        "where": "in vacuum",
        "source": "exact since the 17th CGPM, 1983",
    },
    "refractive index of air": {
        "value": 1.000277,
        "unit": "1",
        "where": "dry air at 15 degrees C and 1 atm, sodium light (589 nm)",
        "source": "Ciddor 1996",
    },
}


@tool
def read_table(name: str) -> list[dict[str, int]]:
    """The rows of a data table, by name. There is `michelson_1879`: speed of light in air, km/s."""
    if name not in _TABLES:
        raise LookupError(f"no table {name!r}; there are {', '.join(_TABLES)}")
    with (files(__package__) / _TABLES[name]).open(encoding="utf-8") as file:
        return [{column: int(cell) for column, cell in row.items()} for row in csv.DictReader(file)]


@tool
def constant(name: str) -> dict[str, float | str]:
    """A physical constant with its unit and source: `speed of light` or `refractive index of air`."""
    if name not in _CONSTANTS:
        raise LookupError(f"no constant {name!r}; there are {', '.join(_CONSTANTS)}")
    return _CONSTANTS[name]
