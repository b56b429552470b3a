"""A guest that says back what it hears, or does what it is told: enough to test the walls without the real one."""
