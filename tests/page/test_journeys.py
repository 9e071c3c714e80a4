"""What people do with the page, from the sign-in to the end of their errand."""

import re

from conftest import PHONE
from playwright.sync_api import expect


def test_a_user_submits_watches_reads_the_log_and_cancels(stage, shot):
    page = stage.open(user="alice")
    page.get_by_role("link", name="Submit", exact=True).click()
    page.get_by_label("Command").fill("sh -c 'for i in 1 2 3 4 5; do echo epoch $i/900; sleep 1; done; sleep 600'")
    page.get_by_label("Name", exact=True).fill("my-training")
    expect(page.get_by_text("reeve submit").first).to_be_visible()
    shot(page, "journey-submit")
    page.get_by_role("button", name="Submit", exact=False).last.click()

    expect(page).to_have_url(re.compile(r"#/jobs/\d+$"))
    expect(page.get_by_role("heading", name=re.compile("my-training"))).to_be_visible()
    expect(page.get_by_text("Running", exact=True).first).to_be_visible()
    expect(page.get_by_text("epoch 3/900")).to_be_visible(timeout=15_000)
    shot(page, "journey-running")

    page.get_by_role("button", name=re.compile("^Cancel")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile("Cancel job|Cancel")).last.click()
    expect(page.get_by_text("Cancelled", exact=True).first).to_be_visible(timeout=40_000)
    shot(page, "journey-cancelled")


def test_a_user_sees_that_others_wait_but_not_with_what(stage, trainings):
    page = stage.open("queue", user="alice")
    expect(page.get_by_role("row").filter(has_text="bob").first).to_be_visible()
    text = page.get_by_role("main").inner_text()
    assert "train-2" in text or "train-4" in text, "her own by name"
    assert "train-3" not in text, "those of bob without"
    stage.go(page, f"jobs/{trainings['train-3']}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    text = page.get_by_role("main").inner_text()
    assert "train-3" not in text and "epoch" not in text
    for button in ("Cancel", "Hold", "Delete"):
        assert page.get_by_role("button", name=button).count() == 0
    for address in ("people", "ledger"):
        assert page.get_by_role("navigation").get_by_role("link", name=re.compile(address, re.I)).count() == 0


def test_an_operator_holds_and_releases(stage, trainings, shot):
    page = stage.open(f"jobs/{trainings['train-3']}", user="olga")
    page.get_by_role("button", name="Hold").click()
    dialog = page.get_by_role("dialog")
    if dialog.count():
        dialog.get_by_role("button").last.click()
    expect(page.get_by_text("Held", exact=True).first).to_be_visible()
    shot(page, "journey-held")
    stage.go(page, "queue")
    expect(page.get_by_role("row").filter(has_text="Held").first).to_be_visible()
    stage.go(page, f"jobs/{trainings['train-3']}")
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_role("button", name="Hold")).to_be_visible()
    assert stage.plant.job(trainings["train-3"])["held"] is False


def test_an_operator_reads_the_ledger(stage, trainings):
    page = stage.open("ledger", user="olga")
    main = page.get_by_role("main")
    expect(main.get_by_text("bob").first).to_be_visible()
    assert page.get_by_role("navigation").get_by_role("link", name="Users").count() == 0


def test_a_viewer_looks_and_can_do_nothing(stage, trainings):
    page = stage.open(user="vera")
    expect(page.get_by_text("GPUs in use")).to_be_visible()
    for address in ("", "queue", "jobs", f"jobs/{trainings['train-0']}", "fleet"):
        stage.go(page, address)
        page.wait_for_timeout(600)
        for button in ("Cancel", "Hold", "Release", "Delete", "Submit"):
            assert page.get_by_role("main").get_by_role("button", name=button).count() == 0, (address, button)
    assert page.get_by_role("navigation").get_by_role("link", name="Submit").count() == 0


def test_an_admin_adds_a_user_who_then_signs_in_by_a_token(stage, shot):
    page = stage.open("people")
    page.get_by_role("button", name=re.compile("Add", re.I)).first.click()
    page.get_by_label("Name", exact=True).first.fill("dora")
    page.get_by_role("button", name=re.compile("^Add", re.I)).last.click()
    expect(page.get_by_text("dora").first).to_be_visible()
    shot(page, "journey-people")
    assert any(u["name"] == "dora" for u in stage.plant.ask("GET", "/api/v1/users").json()["items"])


def test_all_of_it_by_keyboard_alone(stage, trainings):
    page = stage.open(user="alice")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.get_by_role("navigation").get_by_role("link", name="Queue").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/queue"))
    row = page.get_by_role("row").filter(has_text="alice").first
    row.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#/jobs/\d+"))


def test_a_phone_shows_the_queue_without_sideways_scrolling(stage, trainings):
    page = stage.open("queue", user="alice", size=PHONE, lang="ko-KR")
    page.wait_for_timeout(800)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("reeve-rows").get_by_text("대기 중").first).to_be_visible()
