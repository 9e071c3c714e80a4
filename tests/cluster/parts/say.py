"""What the parts of the cluster tell the person who waits."""

import sys


class Unable(Exception):
    """Something could not be done; the text says why and, where it can, what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
