"""Plain values and pure functions: standard library only; no await, no I/O, no clock."""
