"""Sentences that are kept in English stand in schema/phrases.def as they are made in the sources."""

import re
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
LITERAL = r'"((?:[^"\\\\]|\\\\.)*)"'
PLACE = r"%(?:\.\d+)?l*[sdu]"


def joined(text):
    """TEXT with literals that stand side by side made one."""
    return re.sub(r'"[\s\\]*\n\s*"', "", text)


def phrases():
    text = joined((TOP / "schema" / "phrases.def").read_text())
    return re.findall(rf"\bP\(\s*{LITERAL}\s*,[\s\\]*{LITERAL}\)", text)


def test_every_phrase_is_said_somewhere():
    files = [p for p in (TOP / "src").rglob("*.c") if p.name != "phrase.c"]
    said = "\n".join(joined(p.read_text()) for p in files)
    of_the_system = {"Permission denied", "No such file or directory", "Not a directory"}
    missing = []
    for english, _ in phrases():
        # What is put together in the sources stands there in pieces.
        piece = max(re.split(rf"{PLACE}|; |: ", english), key=len)
        if piece not in said and english not in of_the_system:
            missing.append(english)
    assert not missing


def test_every_phrase_fills_in_all_that_it_was_given():
    found = phrases()
    assert len(found) > 50
    for english, korean in found:
        places = len(re.findall(PLACE, english.replace("%%", "")))
        used = {int(n) for n in re.findall(r"%(\d)", korean)}
        assert max(used, default=0) <= places, korean
        # The plural of a word is all that Korean may leave out.
        if "process%s" not in english:
            assert used == set(range(1, places + 1)), korean
