"""The first word to a guest: what its session is made of."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from ..core.catalogue import Catalogue
from ..core.execution import Imports, Limits, Policy, ToolSpec
from ..guest import wire
from . import lookups


def opening(tools: Catalogue, policy: Policy) -> bytes:
    """The frame that says what a session is made of; of many that are alike it is made once."""
    specs = tools.specs if tools.answer is None else (*tools.specs, tools.answer)
    try:
        return _opening(specs, policy.imports, policy.limits, policy.network)
    except TypeError:  # the tool of somebody who wrote a list where a tuple is meant
        return _opening.__wrapped__(specs, policy.imports, policy.limits, policy.network)


@functools.lru_cache(maxsize=64)
def _opening(specs: tuple[ToolSpec, ...], imports: Imports, limits: Limits, network: tuple[str, ...]) -> bytes:
    listed, unlisted = lookups.opening(Catalogue(specs), limits.listing)
    return wire.encode(wire.Open(_settings(imports), listed, _settings(limits), list(network), unlisted))


def _settings(values: Imports | Limits) -> dict[str, Any]:
    return {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
