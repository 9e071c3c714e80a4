"""The pictures in the README: four GPUs, a queue with reasons, jobs that ended. `./test page -k picture` makes them
in build-test/page/; with REEVE_PICTURES=docs they go there, and with some minutes to run in they look lived in."""

import os
import time
from pathlib import Path

import pytest
from conftest import TOP, staged
from playwright.sync_api import expect

MINUTES = float(os.environ.get("REEVE_PICTURE_MINUTES", "0"))


@pytest.fixture
def fleet(build, browser, tmp_path):
    scenario = tmp_path / "sim.yaml"
    scenario.write_text("""
devices:
  - {model: h100, count: 2, jitter: 2}
  - {model: rtx-3080, count: 2, jitter: 2}
client:
  memory: [[0, 1500], [15, 6200]]
  load: {points: [[0, 5], [4, 94], [50, 97], [54, 45], [60, 95]], loop: true}
""")
    yield from staged(build, browser, scenario)


@pytest.mark.timeout(1800)
def test_picture(fleet, shot):
    plant = fleet.plant

    def train(user, name, epochs, each, **needs):
        loop = f'for i in $(seq 1 {epochs}); do echo "epoch $i/{epochs} loss 0.$((1000 - i))"; sleep {each}; done'
        return plant.submit(["sh", "-c", loop], user=user, name=name, **needs)["id"]

    last = [train(user, name, 3, 0.5) for user, name in [("alice", "warm-up"), ("bob", "data-check")]]
    plant.wait_state(train("alice", "bad-path", 1, 0.1, work_dir="/nowhere"))
    for job in last:
        plant.wait_state(job)
    each = 1 + MINUTES * 60 / 50
    running = [("alice", "joint", 90), ("bob", "bone", 60), ("bob", "resnet", 80), ("alice", "motion", 120)]
    for user, name, epochs in running:
        train(user, name, epochs, each)
    train("bob", "large-batch", 10, 5, gpus=1, gpu_memory="40GiB")
    train("alice", "both", 10, 5, gpus=2)
    train("bob", "ablation", 10, 5)
    time.sleep(60 * MINUTES + 3)
    for lang, name in (("en-US", "page"), ("ko-KR", "page.ko")):
        page = fleet.open(lang=lang, size={"width": 1280, "height": 800})
        expect(page.locator(".job-waiting").first).to_be_visible()
        page.wait_for_timeout(2500)
        shot(page, name)
        if "REEVE_PICTURES" in os.environ:
            page.screenshot(path=str(Path(TOP, os.environ["REEVE_PICTURES"], f"{name}.png")))
