"""Anthropic's models, and every server that speaks the Messages API."""

from __future__ import annotations

from .model import AnthropicModel

__all__ = ["AnthropicModel"]
