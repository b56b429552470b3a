"""Ollama: its own protocol where a length of the context is asked for, else that of OpenAI; and a look at the model."""

from __future__ import annotations

from .model import OllamaModel

__all__ = ["OllamaModel"]
