"""What runs inside the sandbox, under any Python >= 3.11: standard library only, nothing of the rest of codeact.

The host imports `wire` and `values` from here too, so that both ends read from one page.
"""
