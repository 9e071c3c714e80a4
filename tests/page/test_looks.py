"""Every page in both languages and themes, on a desk and on a phone: axe has no findings, nothing sticks out."""

import pytest
from conftest import DESKTOP, PHONE

ADDRESSES = {
    "overview": "",
    "queue": "queue",
    "jobs": "jobs",
    "job": "jobs/{train-0}",
    "job-failed": "jobs/{failed}",
    "fleet": "fleet",
    "device": "fleet/1",
    "submit": "submit",
    "people": "people",
    "ledger": "ledger",
}
LOOKS = {
    "en-light": {"lang": "en-US", "theme": "light", "size": DESKTOP},
    "ko-dark": {"lang": "ko-KR", "theme": "dark", "size": DESKTOP},
    "en-dark-phone": {"lang": "en-US", "theme": "dark", "size": PHONE},
    "ko-light-phone": {"lang": "ko-KR", "theme": "light", "size": PHONE},
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_can_be_read_by_everybody(stage, trainings, axe, shot, look):
    page = stage.open(**LOOKS[look])
    found = []
    for name, address in ADDRESSES.items():
        stage.go(page, address.format(**trainings))
        page.wait_for_timeout(1_200)
        shot(page, f"{name}-{look}")
        wide = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        problems = axe(page) + ([f"{wide} pixels wider than the window"] if wide > 0 else [])
        if page.locator("h1").count() != 1:
            problems.append("not exactly one main heading")
        found += [f"{name}: {problem}" for problem in problems]
    assert not found, "\n".join(found)


def test_the_sign_in_can_be_read_by_everybody(stage, axe, shot):
    for look, options in LOOKS.items():
        page = stage.open(user=None, **options)
        page.locator("#token").wait_for()
        shot(page, f"sign-in-{look}")
        assert not axe(page)
