"""Every server that speaks OpenAI's chat completions: OpenAI, Ollama, vLLM, llama.cpp, Hugging Face's router ..."""

from __future__ import annotations

from .model import Deadlines, OpenAIModel

__all__ = ["Deadlines", "OpenAIModel"]
