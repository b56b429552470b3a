"""Code agents for Python."""
