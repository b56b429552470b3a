"""One conversation with one interpreter: what it is made of, what drives it, and the one door for its tool calls."""
