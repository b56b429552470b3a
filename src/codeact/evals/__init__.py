"""Evaluations: an agent given every task of a set, each in a session of its own, and what came of it."""
