"""What tests of the page share: a plant with people, a browser, signing in, screenshots, axe."""

import os
import shutil
from pathlib import Path

import pytest
from plant import Plant
from playwright.sync_api import sync_playwright

TOP = Path(__file__).resolve().parents[2]
SHOTS = TOP / "build-test/page"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PEOPLE = {"alice": "user", "bob": "user", "olga": "operator", "vera": "viewer"}


@pytest.fixture(scope="session")
def build():
    folder = Path(os.environ.get("REEVE_BUILD", TOP / "build"))
    if not (folder / "web/page/index.html").exists():
        pytest.exit(f"{folder} has no page; start this by ./test page", returncode=2)
    return folder


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Stage:
    """A plant, its people, and whoever sits before a browser."""

    def __init__(self, plant, browser):
        self.plant, self.browser = plant, browser
        self.contexts, self.errors = [], []
        # Said by the browser itself about failures that a test makes on purpose.
        self.allowed = ()
        for name, role in PEOPLE.items():
            answer = plant.ask("POST", "/api/v1/users", {"name": name, "role": role})
            assert answer.status_code == 201, answer.text

    def link(self, user="admin"):
        answer = self.plant.ask("POST", "/api/v1/links", {"user": user})
        assert answer.status_code == 201, answer.text
        return self.plant.url + answer.json()["path"]

    def open(self, address="", user="admin", lang="en-US", theme="light", size=DESKTOP, **more):
        """A fresh browser window of USER, signed in, at ADDRESS (what stands behind `#/`)."""
        context = self.browser.new_context(viewport=size, locale=lang, color_scheme=theme, **more)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("console", self.heard)
        if user:
            page.goto(self.link(user))
            page.locator("nav.nav").wait_for()
            if address:
                self.go(page, address)
        else:
            page.goto(f"{self.plant.url}/#/{address}")
        return page

    def go(self, page, address):
        page.evaluate("a => { location.hash = '#/' + a }", address)
        page.wait_for_timeout(50)

    def heard(self, message):
        if message.type in ("error", "warning") and not any(a in message.text for a in self.allowed):
            where = message.location.get("url", "") if message.location else ""
            self.errors.append(f"{message.type}: {message.text} {where}")

    def close(self):
        for context in self.contexts:
            context.close()
        assert not self.errors, self.errors


@pytest.fixture
def stage(build, browser, tmp_path):
    """One node with two RTX 3080."""
    scenario = tmp_path / "sim.yaml"
    scenario.write_text("""
devices:
  - {model: rtx-3080, count: 2, jitter: 2}
client: {memory: 3GiB, load: [[0, 20], [1, 88], [3, 92]]}
""")
    yield from staged(build, browser, scenario)


def staged(build, browser, scenario):
    plant = Plant(build, scenario, agent=["--sample", "1s"]).start()
    made = Stage(plant, browser)
    try:
        yield made
        made.close()
    finally:
        plant.stop()


@pytest.fixture
def shot():
    SHOTS.mkdir(parents=True, exist_ok=True)

    def take(page, name, whole=False):
        page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=whole)

    return take


@pytest.fixture(scope="session")
def axe(build):
    """Runs axe-core in a page and gives what it finds against WCAG A and AA, a line each."""
    source = (build / "web/packages/node_modules/axe-core/axe.min.js").read_text()

    def run(page):
        page.evaluate(source)  # not as a script element, which the page's own policy refuses
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = page.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
        # What lies half under the bar of the moment's scroll position is whole after a little scrolling.
        return [
            f"{v['id']}: {n['target']} {n.get('failureSummary', '')}"
            for v in found["violations"]
            for n in v["nodes"]
            if not (v["id"] == "target-size" and "partially obscured" in n.get("failureSummary", ""))
        ]

    return run


@pytest.fixture
def trainings(stage):
    """Two run, three wait, one has ended and one failed: something to see on every page."""
    plant = stage.plant
    epochs = 'for i in $(seq 1 300); do printf "epoch %d/300 loss 0.%d\\n" $i $i; sleep 0.2; done'
    ids = {
        "ended": plant.submit(["sh", "-c", "echo epoch 1/1; echo done"], user="alice", name="warm-up")["id"],
        "failed": plant.submit(["sh", "-c", "echo no such file >&2; exit 3"], user="bob", name="broken")["id"],
    }
    for name in ("ended", "failed"):
        plant.wait_state(ids[name])
    for number, user in enumerate(["alice", "bob", "alice", "bob", "alice"]):
        job = plant.submit(["sh", "-c", epochs], user=user, name=f"train-{number}", labels={"set": "ntu60"})
        ids[f"train-{number}"] = job["id"]
    plant.wait_state(ids["train-1"], "Running")
    return ids
