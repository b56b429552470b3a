"""A guest in place of the usual one, for the doctor: it tries the doors of its own wall and says what it found."""
