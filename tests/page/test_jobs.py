"""The queue, the list of jobs, one job and its log: what is shown, found, picked, and done."""

import re

from playwright.sync_api import expect
from test_connection import NETWORK

COLOURS = r"""
printf '\033[31mred\033[0m \033[1;38;5;208morange\033[0m \033[38;2;0;0;0mblack\033[0m\n'
for i in $(seq 1 3000); do echo "step $i loss 0.$i"; done
for i in $(seq 1 50); do printf '\rsaving %d%%' $i; done
echo; echo the end
"""


def rows(page):
    return page.locator("reeve-rows .row")


def test_the_queue_says_why_and_filters_by_its_address(stage, trainings):
    page = stage.open("queue")
    expect(rows(page)).to_have_count(5)
    expect(rows(page).nth(2)).to_contain_text("used by job")
    page.get_by_label("Number, name or user").fill("train-3")
    expect(rows(page)).to_have_count(1)
    assert page.evaluate("() => location.hash") == "#/queue?q=train-3"
    stage.go(page, "queue?user=alice&state=waiting")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("button", name="Clear").click()
    expect(rows(page)).to_have_count(5)

    korean = stage.open("queue", lang="ko-KR")
    expect(rows(korean).nth(2)).to_contain_text("에서 사용 중")


def test_an_operator_picks_holds_releases_and_cancels_by_keys(stage, trainings):
    page = stage.open("queue", user="olga")
    expect(rows(page)).to_have_count(5)
    rows(page).nth(2).focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_text("2 picked")).to_be_visible()

    page.get_by_role("button", name="Hold").click()
    page.get_by_label("Why").fill("waits for its data")
    page.keyboard.press("Enter")
    expect(page.locator(".row-held")).to_have_count(2)
    expect(page.locator(".row-held").first).to_contain_text("held by olga since")
    assert stage.plant.job(trainings["train-2"])["held"]

    rows(page).nth(2).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".row-held")).to_have_count(1)

    rows(page).nth(4).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel job").click()
    expect(rows(page)).to_have_count(4)
    assert stage.plant.wait_state(trainings["train-4"], "Cancelled")


def test_the_focus_stays_on_its_job_when_the_queue_moves(stage, trainings):
    page = stage.open("queue")
    expect(rows(page)).to_have_count(5)
    rows(page).nth(4).focus()
    stage.plant.ask("POST", f"/api/v1/jobs/{trainings['train-2']}/cancel")
    expect(rows(page)).to_have_count(4)
    assert "train-4" in page.evaluate("() => document.activeElement.innerText")
    page.keyboard.press("ArrowUp")
    assert "train-3" in page.evaluate("() => document.activeElement.innerText")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="train-3", level=1)).to_be_visible()


def test_the_list_of_jobs_goes_on_as_one_scrolls(stage):
    for _ in range(3):
        jobs = [{"command": ["true"], "gpus": 40, "name": f"n-{i}"} for i in range(100)]
        assert stage.plant.ask("POST", "/api/v1/jobs:batch", {"jobs": jobs}).status_code == 201
    page = stage.open("jobs")
    expect(rows(page).first).to_contain_text("n-99")
    for _ in range(12):
        page.locator(".rows").evaluate("e => { e.scrollTop = e.scrollHeight }")
        page.wait_for_timeout(150)
    expect(page.get_by_text("These are all.")).to_be_visible()
    numbers = page.locator("reeve-rows").evaluate("e => e.items.map(j => j.id)")
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == len(set(numbers)) == 300
    stage.go(page, "jobs?q=n-42")
    expect(rows(page)).to_have_count(3)
    stage.go(page, "jobs?state=Failed")
    expect(page.get_by_text("No job matches.")).to_be_visible()


def test_a_log_is_coloured_searched_and_taken_away(stage):
    job = stage.plant.submit(["bash", "-c", COLOURS], name="colours", gpus=0)["id"]
    stage.plant.wait_state(job)
    page = stage.open(f"jobs/{job}")
    log = page.locator(".log")
    expect(page.get_by_text("3,003 lines")).to_be_visible()
    expect(log.get_by_text("the end")).to_be_visible()
    expect(log.get_by_text("saving 50%")).to_be_visible()
    assert page.locator(".log-line").count() < 100

    log.focus()
    page.keyboard.press("/")
    page.keyboard.type("LOSS 0.10")
    expect(page.locator(".log-found")).to_have_text("111 matches")
    page.keyboard.press("Enter")
    expect(page.locator(".log-found")).to_have_text("1 of 111")
    expect(page.locator("mark.log-here")).to_be_visible()
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".log-found")).to_have_text("111 of 111")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Go to the end").click()
    expect(log.get_by_text("the end")).to_be_visible()

    log.focus()
    page.keyboard.press("Control+Home")
    log.evaluate("e => { e.scrollTop = 0 }")
    red = re.compile(r"rgb\((1\d\d|20\d), \d\d, \d\d\)")
    expect(log.get_by_text("red", exact=True)).to_have_css("color", red)
    expect(log.get_by_text("orange", exact=True)).to_have_css("font-weight", "700")

    with page.expect_download() as download:
        page.get_by_role("button", name="Download the log").click()
    kept = download.value.path().read_text()
    assert download.value.suggested_filename == f"job-{job}-1.log"
    assert kept.startswith("\033[31mred")
    assert kept.endswith("the end\n")


def test_a_live_log_goes_on_behind_a_restart_without_a_gap(stage):
    stage.allowed = NETWORK
    plant = stage.plant
    count = "for i in $(seq 1 150); do echo line-$i-; sleep 0.1; done"
    job = plant.submit(["bash", "-c", count], user="alice", name="counts")["id"]
    plant.wait_state(job, "Running")
    page = stage.open(f"jobs/{job}", user="alice")
    expect(page.locator(".log").get_by_text("line-10-")).to_be_visible()
    plant.reeved.kill()
    plant.reeved.wait()
    expect(page.get_by_text("Connection cut, trying again")).to_be_visible()
    plant.start_reeved()
    plant.wait_state(job)
    expect(page.locator(".log").get_by_text("line-150-")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Complete 150 lines")).to_be_visible(timeout=20_000)
    texts = page.locator("reeve-log").evaluate("e => [...e.lines.texts()]")
    assert texts == [f"line-{i}-" for i in range(1, 151)]


def test_what_belongs_to_others_is_not_there(stage, trainings):
    job = trainings["train-0"]
    page = stage.open(f"jobs/{job}", user="bob")
    expect(page.get_by_text("This job belongs to somebody else")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Job {job}", level=1)).to_be_visible()
    expect(page.get_by_text("Started", exact=True)).to_be_visible()
    for absent in ("train-0", "seq 1 300", "ntu60", "USD"):
        assert absent not in page.locator("main").inner_text()
    for button in ("Cancel job", "Hold", "Try again", "Delete"):
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    viewer = stage.open("queue", user="vera")
    expect(rows(viewer)).to_have_count(5)
    expect(viewer.locator("input[type=checkbox]")).to_have_count(0)


def test_a_job_tells_its_story_and_is_tried_again(stage, trainings):
    page = stage.open(f"jobs/{trainings['failed']}", user="bob", lang="ko-KR")
    story = page.locator(".story")
    expect(story).to_contain_text("제출됨")
    expect(story).to_contain_text("실패")
    expect(story).to_contain_text("끝남(종료 코드 3)")
    page.get_by_role("button", name="다시 실행").click()
    expect(page.locator(".job-title")).to_contain_text("대기 중")
    expect(story).to_contain_text("다시 실행")
    page.get_by_role("button", name="작업 취소").click()
    page.get_by_role("dialog").get_by_role("button", name="작업 취소").click()
    expect(page.locator(".job-title")).to_contain_text("취소됨")
