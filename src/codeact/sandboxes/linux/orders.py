"""What the host says on the line of a session that can be copied; its silence, the end of the line, ends all of it.

ORDER       the next fork may pass
WITHDRAW    none may; the zygote answers {"forks": how many did}
REAP        take away the ended whose parents have ended
"""

ORDER, WITHDRAW, REAP = b"+", b"-", b"~"
