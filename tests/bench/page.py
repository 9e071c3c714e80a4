"""The web page in Chromium. An empty page in the same browser and run is what its frames are held against."""

import argparse
import shutil
import sys

from figure import BUILD, TOP, Client, Folder, load, percentile, say
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(TOP / "tests/system"))
from fake_agent import FakeAgent  # noqa: E402

QUEUED, NODES, PER_NODE = 2000, 125, 8

# Runs for two seconds, moving something at each frame; gives the milliseconds between frames.
FRAMES = """step => new Promise(done => {
  const move = new Function('at', step), times = []
  const begin = performance.now()
  const frame = now => {
    times.push(now)
    if (now - begin > 2000) return done(times.slice(1).map((t, i) => t - times[i]))
    move((now - begin) / 2000)
    requestAnimationFrame(frame)
  }
  requestAnimationFrame(frame)
})"""
SCROLL = "const s = document.querySelector('{0}'); s.scrollTop = at * (s.scrollHeight - s.clientHeight)"
POINT = """const c = document.querySelector('reeve-device-map canvas'), r = c.getBoundingClientRect();
c.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: r.left + at * r.width,
  clientY: r.top + (0.5 + 0.45 * Math.sin(at * 40)) * r.height}))"""


def frames(page, what, step, empty):
    gaps = page.evaluate(FRAMES, step)
    rate, p99 = 1000 * len(gaps) / sum(gaps), percentile(gaps, 0.99)
    beside = f"; an empty page {empty:.0f}: ratio {rate / empty:.2f}" if empty else ""
    say(f"{what}: {rate:.0f} frames/s (aim 60), 99 of 100 within {p99:.1f} ms{beside}; {load()}")
    return rate


def heap(line):
    line.send("HeapProfiler.collectGarbage")
    figures = {m["name"]: m["value"] for m in line.send("Performance.getMetrics")["metrics"]}
    return figures["JSHeapUsedSize"] / 1024, int(figures["Nodes"])


def size():
    packed = sum(f.stat().st_size for f in (BUILD / "web/page").rglob("*.gz"))
    say(f"the page: {packed / 1024:.0f} KiB compressed (limit 150): ratio {packed / 1024 / 150:.2f}")


def first_paint(browser, plant):
    painted = []
    for _ in range(9):
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(f"sessionStorage.setItem('reeve.token', '{plant.admin_token}')")
        page.goto(plant.url)
        page.get_by_text("GPUs in use").wait_for()
        painted.append(
            page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"),
        )
        context.close()
    say(f"first paint: p50 {percentile(painted, 0.5):.0f} ms, worst of 9 {max(painted):.0f} ms (limit 1000); {load()}")


def long_day(page, plant, line, rounds):
    """What people do and what happens to them, many times over; the first rounds fill what is kept on purpose."""
    client = Client(plant)
    first = None
    for i in range(rounds):
        for place in ("queue", "jobs", "fleet", "fleet/1", "jobs/1", "ledger", "submit", "people", ""):
            page.evaluate("a => { location.hash = '#/' + a }", place)
            page.wait_for_timeout(60)
        client.submit_many(20, gpus=1)
        if i == rounds // 4:
            first = heap(line)
    page.wait_for_timeout(1500)
    last = heap(line)
    say(
        f"after {rounds} rounds through all pages and {20 * rounds} more jobs: {last[0]:.0f} KiB of heap"
        f" ({first[0]:.0f} after a quarter: ratio {last[0] / first[0]:.2f}),"
        f" {last[1]} nodes (ratio {last[1] / first[1]:.2f})"
    )


def long_log(page, plant, empty):
    """10 MiB in 120,000 lines."""
    command = [
        "sh",
        "-c",
        "seq 1 120000 | sed 's/$/ step of the training with some words and figures 0.123456 0.654321/'",
    ]
    job = plant.submit(command, gpus=0, name="talkative")["id"]
    plant.wait_state(job, "Completed", seconds=60)
    page.evaluate("a => { location.hash = '#/jobs/' + a }", job)
    page.locator(".log").filter(has_text="120000 step").wait_for(timeout=60_000)
    frames(page, "a log of 10 MiB scrolled", SCROLL.format(".log"), empty)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=40, help="of the long day")
    options = options.parse_args()
    size()
    with Folder(BUILD) as plant, sync_playwright() as playwright:
        plant.start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        first_paint(browser, plant)
        agents = [FakeAgent(plant, f"node-{i:03}", devices=PER_NODE).start() for i in range(NODES)]
        client = Client(plant)
        client.submit_many(QUEUED, gpus=64)  # more than any node has: they stay
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        empty = frames(page, "an empty page", "", None)
        page.add_init_script(f"sessionStorage.setItem('reeve.token', '{plant.admin_token}')")
        page.goto(plant.url + "/#/queue")
        page.locator(".rows-fill .row").first.wait_for()
        page.wait_for_timeout(2000)
        frames(page, f"a queue of {QUEUED} scrolled", SCROLL.format(".rows-fill"), empty)
        page.evaluate("() => { location.hash = '#/fleet' }")
        page.locator("reeve-device-map canvas").wait_for()
        page.wait_for_timeout(1000)
        frames(page, f"a map of {NODES * PER_NODE} devices pointed at", POINT, empty)
        long_log(page, plant, empty)
        line = page.context.new_cdp_session(page)
        line.send("Performance.enable")
        long_day(page, plant, line, options.rounds)
        browser.close()
        for agent in agents:
            agent.close()


if __name__ == "__main__":
    main()
