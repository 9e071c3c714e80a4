"""Who gets in, by what, and what stays behind."""

import re

from conftest import PHONE
from playwright.sync_api import expect


def test_the_link_signs_in_once_and_leaves_no_trace_of_its_code(stage):
    link = stage.link("alice")
    page = stage.open(user=None)
    page.goto(link)
    expect(page.get_by_role("button", name=re.compile("^alice"))).to_be_visible()
    code = link.rsplit("=", 1)[1]
    assert code not in page.url
    assert code not in str(
        page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    )
    assert page.evaluate("() => document.cookie") == ""

    stage.allowed = ("401",)
    other = stage.open(user=None)
    other.goto(link)
    expect(other.get_by_role("alert")).to_contain_text("has been used")
    expect(other.get_by_text("reeve token link")).to_be_visible()


def test_a_token_signs_in_and_a_wrong_one_says_what_to_do(stage):
    stage.allowed = ("401",)
    page = stage.open(user=None)
    page.get_by_label("Token").fill("rv_" + "0" * 64)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("ask an administrator")
    page.get_by_label("Token").fill(stage.plant.admin_token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation")).to_be_visible()


def test_another_tab_of_the_same_browser_needs_no_second_link(stage):
    page = stage.open(user="alice")
    other = page.context.new_page()
    other.goto(stage.plant.url + "/#/queue")
    expect(other.get_by_role("button", name=re.compile("^alice"))).to_be_visible()


def test_signing_out_ends_the_session_for_all_tabs(stage):
    stage.allowed = ("401",)
    page = stage.open(user="alice")
    token = page.evaluate("() => sessionStorage.getItem('reeve.token')")
    other = page.context.new_page()
    other.goto(stage.plant.url + "/#/queue")
    other.get_by_role("navigation").wait_for()
    page.get_by_role("button", name=re.compile("^alice")).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    expect(other.get_by_label("Token")).to_be_visible()
    assert stage.plant.ask("GET", "/api/v1/whoami", token=token).status_code == 401


def test_a_session_that_is_revoked_elsewhere_asks_to_sign_in(stage):
    stage.allowed = ("401",)
    page = stage.open(user="alice")
    tokens = stage.plant.ask("GET", "/api/v1/tokens").json()["items"]
    mine = [t["id"] for t in tokens if t["user"] == "alice" and not t["revoked_at"]]
    for token in mine:
        assert stage.plant.ask("DELETE", f"/api/v1/tokens/{token}").status_code in (200, 204)
    expect(page.get_by_label("Token")).to_be_visible(timeout=20_000)


def test_nothing_is_loaded_from_elsewhere(stage):
    page = stage.open(user=None)
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    page.goto(stage.link("alice"))
    page.get_by_role("navigation").wait_for()
    page.wait_for_timeout(1_000)
    assert asked
    assert all(url.startswith((stage.plant.url, "data:")) for url in asked), asked


def test_the_language_follows_the_browser_the_address_and_the_choice(stage):
    page = stage.open(user="alice", lang="ko-KR", size=PHONE)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_role("link", name="대기열")).to_be_visible()
    page.goto(stage.plant.url + "/?lang=en#/")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name=re.compile("^alice")).click()
    page.get_by_text("한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_the_theme_is_the_systems_unless_chosen(stage):
    def paper(page):
        return page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")

    page = stage.open(user="alice", theme="dark")
    dark = paper(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    light = paper(page)
    assert dark != light
    page.get_by_role("button", name=re.compile("^alice")).click()
    page.get_by_text("Dark", exact=True).click()
    assert paper(page) == dark
    page.reload()
    page.get_by_role("navigation").wait_for()
    assert paper(page) == dark
