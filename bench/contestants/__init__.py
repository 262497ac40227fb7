"""One module a contestant: the same work, done as its own documentation says. Run by ``call.py``."""
