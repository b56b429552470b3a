"""Every server that speaks OpenAI's protocols, chat completions or responses: OpenAI, vLLM, llama.cpp, routers ..."""

from __future__ import annotations

from codeact.models.server import Deadlines

from .model import OpenAIModel

__all__ = ["Deadlines", "OpenAIModel"]
