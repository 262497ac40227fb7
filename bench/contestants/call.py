"""Calls one function of one contestant: ``python call.py CONTESTANT VERB [NAME=VALUE …]``.

Run by the Python of the contestant's own environment. What the function returns is printed as one line of JSON,
after whatever the contestant itself prints. Imported, not run, the modules of the contestants are compiled once.
"""

import importlib
import sys

sys.path[0] = __file__.rsplit("/", 3)[0]  # the folder above bench/; this one has modules named like packages


def main() -> None:
    """Do what the command line says."""
    contestant, verb, *pairs = sys.argv[1:]
    module = importlib.import_module(f"bench.contestants.{contestant}")
    result = getattr(module, verb)(**dict(pair.split("=", 1) for pair in pairs))
    if result is not None:
        import json

        sys.stdout.flush()
        print("\n" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
