"""What a model is told to do, chosen by its name: how much it is told, and what carries its code.

A name decides only where something is known of the model; everybody else gets `standard`. The user's own choice, of a
profile or of a carrier, comes before all of this.

    profile    told       carrier   for
    standard   all        fence     every model that is not named below
    small      less       fence     models of up to four billion parameters, which lose themselves in long prompts
    codeact    all        execute   the models of the CodeAct paper, trained on <execute>
    smollm3    less       code      SmolLM3, whose template for Python tools has the model write between <code> tags
    native     all        tool      models trained to call tools and nothing else
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from .actions import Carrier, Form
from .errors import UsageError, nearest
from .lessons import Size

SMALL = 4.0  # billions of parameters, up to which a model is small


@dataclass(frozen=True, slots=True)
class Profile:
    """How much a model is told of how to act, and what carries its code."""

    lesson: Size = "standard"
    carrier: Carrier = "fence"


PROFILES = {
    "standard": Profile(),
    "small": Profile("small"),
    "codeact": Profile("standard", "execute"),
    "smollm3": Profile("small", "code"),
    "native": Profile("standard", "tool"),
}
_FAMILIES = (  # the first that is found in a name, in lower case
    (re.compile(r"codeact"), "codeact"),
    (re.compile(r"smollm-?3"), "smollm3"),
    (re.compile(r"functionary|xlam|hammer2|toolace"), "native"),
)
_SMALL_FAMILIES = re.compile(  # small, and often named without a count
    r"tinyllama|smollm|phi-?3(?:\.5)?[:-]mini|phi-?4-mini|orca-mini|stablelm-?2"
)
_BILLIONS = re.compile(  # millions from fifty on: `1m` is the length of a context
    r"(?<![\w.])e?(?:(\d{1,4}(?:\.\d{1,3})?)b|([5-9]\d|\d{3})m)(?![a-z])", re.ASCII
)
_DEFAULTS = {"phi3", "llama3.2", "gemma3n", "smollm2", "deepseek-coder"}  # small as ollama gives them without a tag


def named(name: str) -> Profile:
    """The profile of this name. Raises UsageError with the nearest."""
    if name not in PROFILES:
        raise UsageError(f"no profile {name!r}: {', '.join(PROFILES)}{nearest(name, PROFILES)}")
    return PROFILES[name]


def chosen(model: str) -> str:
    """The name of the profile for a model, by its specification."""
    provider, _, rest = model.partition(":")
    if provider == "replay":
        return "standard"  # what follows is a file
    name = _name(model).lower()
    family = next((profile for pattern, profile in _FAMILIES if pattern.search(name)), None)
    if family is not None:
        return family
    size = billions(name)
    if size is not None:
        return "small" if size <= SMALL else "standard"
    plain = provider == "ollama" and rest.partition("?")[0].removesuffix(":latest").lower() in _DEFAULTS
    return "small" if plain or _SMALL_FAMILIES.search(name) else "standard"


def billions(name: str) -> float | None:
    """The parameters that a name tells, in billions: those of all experts where it tells both, None where none.

    >>> billions("qwen2.5-coder:1.5b"), billions("smollm:135m"), billions("qwen3-30b-a3b"), billions("gpt-5")
    (1.5, 0.135, 30.0, None)
    """
    found = [float(b) if b else float(m) / 1000 for b, m in _BILLIONS.findall(name.lower())]
    return max(found, default=None)


def _name(model: str) -> str:
    """The model's own name in a specification: no address, no parameters, no folder, none of a cache of downloads."""
    name = model.partition("#")[2] if "#" in model else model
    return name.partition("?")[0].replace("\\", "/").rstrip("/").partition("/snapshots/")[0].rpartition("/")[2]


def form_named(text: str) -> Form:
    """The form of action that is meant by `code`, `json` or `text`."""
    if text not in get_args(Form):
        raise UsageError(f"no form of action {text!r}: code, json or text{nearest(text, get_args(Form))}")
    found: Form = text  # type: ignore[assignment]
    return found


def carrier_named(text: str) -> Carrier:
    """What code stands in: `fence`, `execute`, `code` or `tool`."""
    known = get_args(Carrier)
    if text not in known:
        near = nearest(text, known) or "; `execute` and `code` are tags of XML"
        raise UsageError(f"no carrier {text!r}: {', '.join(known)}{near}")
    found: Carrier = text  # type: ignore[assignment]
    return found
