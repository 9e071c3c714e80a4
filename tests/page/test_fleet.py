"""The GPUs: the map, filters in the address, a GPU's own page, what an operator does with a silent node."""

import re
import signal

import pytest
from playwright.sync_api import expect


def test_the_map_is_read_out_and_opened_by_keys(stage, trainings):
    page = stage.open("fleet")
    # It has a list's role: one option that tells what the keys are at.
    page.get_by_role("listbox", name="Map of the GPUs").focus()
    option = page.get_by_role("listbox").get_by_role("option")
    expect(option).to_contain_text("GPU 0")
    page.keyboard.press("ArrowRight")
    expect(option).to_contain_text(re.compile("GPU 1, RTX 3080, In use"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#/fleet/2$"))
    expect(page.get_by_role("heading", name=re.compile("GPU 1"))).to_be_visible()


def test_filters_and_order_stand_in_the_address(stage, trainings):
    page = stage.open("fleet")
    rows = page.get_by_role("grid", name="All GPUs").get_by_role("row")
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Use").click()
    expect(page).to_have_url(re.compile("sort=-use"))
    expect(page.get_by_role("columnheader", name="Use")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("combobox", name="State", exact=True).select_option("Faulty")
    expect(page).to_have_url(re.compile("state=faulty"))
    expect(page.get_by_text("No GPU is like that.")).to_be_visible()
    page.reload()
    page.get_by_role("link", name="Show all GPUs").click()
    expect(rows).to_have_count(3)


def test_a_gpu_tells_who_holds_it_and_where_the_day_went(stage, trainings):
    page = stage.open("fleet/1", user="vera")
    expect(
        page.get_by_role("region", name="Held by").or_(page.locator("section", has_text="Held by")).first
    ).to_contain_text("alice")
    shares = page.locator(".time-parts > div:not(.time-total) dd:last-child")
    expect(shares.first).to_be_visible()
    total = sum(float(s.split()[0].replace("\u202f", "").rstrip("%")) for s in shares.all_inner_texts())
    assert total == pytest.approx(100, abs=0.5)


def test_an_operator_declares_a_silent_node_lost(stage, trainings):
    page = stage.open("fleet?node=node-a", user="olga")
    expect(page.get_by_role("heading", name="node-a")).to_be_visible()
    assert page.get_by_role("button", name="Declare lost").count() == 0
    assert page.get_by_role("button", name="Retire").count() == 0, "administrators only"
    stage.plant.agent.send_signal(signal.SIGSTOP)
    page.get_by_role("button", name="Declare lost").click(timeout=60_000)
    page.get_by_role("dialog").get_by_role("button", name="Declare lost").click()
    expect(page.get_by_text("Node node-a is declared lost.")).to_be_visible()
    expect(page.locator(".node-detail").get_by_text("Lost", exact=True)).to_be_visible()
    assert stage.plant.ask("GET", "/api/v1/nodes/node-a").json()["state"] == "lost"
    stage.plant.agent.send_signal(signal.SIGCONT)
