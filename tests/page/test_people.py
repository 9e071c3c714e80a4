"""What only some may do: users, tokens and new nodes; the ledger."""

import re

from playwright.sync_api import expect


def test_an_administrator_adds_a_user_and_signs_it_in(stage):
    page = stage.open("people")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("not a name")
    stage.allowed = ("400",)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name").fill("dora")
    dialog.get_by_role("radio", name=re.compile("Operator")).check()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="dora")).to_contain_text("Operator")

    page.get_by_role("button", name="Change: dora").click()
    dialog.get_by_role("button", name="Sign-in link").click()
    link = dialog.locator("pre").inner_text()
    dialog.get_by_role("button", name="Close").click()
    theirs = page.context.browser.new_context().new_page()
    theirs.goto(link)
    expect(theirs.get_by_role("button", name=re.compile("dora"))).to_be_visible()
    theirs.context.close()

    page.get_by_role("button", name="Change: dora").click()
    dialog.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("row").filter(has_text="dora")).to_contain_text("Disabled")


def test_a_token_is_shown_once_and_revoked(stage):
    page = stage.open("people/tokens?user=bob")
    page.get_by_role("button", name="New token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("For").select_option("bob")
    dialog.get_by_label("Name").fill("laptop")
    dialog.get_by_role("button", name="Make it").click()
    token = dialog.locator("pre").first.inner_text()
    who = stage.plant.ask("GET", "/api/v1/whoami", token=token).json()
    assert who["user"] == "bob"
    page.keyboard.press("Escape")
    page.wait_for_function("token => !document.documentElement.outerHTML.includes(token)", arg=token)
    page.get_by_role("row").filter(has_text="laptop").get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row").filter(has_text="laptop")).to_have_count(0)
    assert stage.plant.ask("GET", "/api/v1/whoami", token=token).status_code == 401
    page.get_by_label("Show").select_option("All")
    expect(page.get_by_role("row").filter(has_text="laptop")).to_contain_text("Revoked")


def test_a_new_node_gets_its_command(stage):
    page = stage.open("people/nodes")
    page.get_by_role("button", name="Add a node").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the node").fill("gpu7")
    dialog.get_by_role("button", name="Make it").click()
    command = dialog.locator("pre").inner_text()
    assert re.search(r"echo rv_\w+ > enrol\.token", command) and "--node gpu7" in command and stage.plant.url in command
    page.keyboard.press("Escape")
    expect(page.get_by_role("row").filter(has_text="gpu7")).to_contain_text("Waits to be used")


def test_the_ledger_is_a_history_that_grows_and_verifies(stage, trainings):
    page = stage.open("ledger", user="olga")
    expect(page.get_by_role("row").filter(has_text=re.compile(r"Job 1 completed after"))).to_be_visible()
    job = stage.plant.submit(["true"], user="bob")["id"]
    line = page.get_by_role("row").filter(has_text=re.compile(rf"submitted job {job} for .*bob"))
    expect(line).to_be_visible()
    line.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("job.submitted")
    expect(dialog).to_contain_text('"gpus"')
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Job").fill(str(trainings["failed"]))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"job={trainings['failed']}"))
    expect(page.get_by_role("row").filter(has_text="failed after")).to_contain_text("exited with status 3")
    expect(line).to_have_count(0)
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text(re.compile("The chain is whole"))).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text(re.compile("plans come out the same"))).to_be_visible()


def test_what_was_typed_survives_a_reload_but_for_secrets(stage):
    page = stage.open("submit", user="alice")
    page.get_by_label("Command").fill('python3 train.py --name "my run"')
    page.get_by_label("GPUs").fill("2")
    page.get_by_role("button", name="Add a variable").click()
    page.keyboard.type("WANDB_API_KEY")
    page.keyboard.press("Tab")
    page.keyboard.type("hush-hush")
    expect(page.locator(".word", has_text="my run")).to_be_visible()
    expect(page.get_by_text("It would start at once.")).to_be_visible()
    assert "hush-hush" not in page.locator(".submit-side").inner_text()
    page.reload()
    expect(page.get_by_label("Command")).to_have_value('python3 train.py --name "my run"')
    assert "hush-hush" not in page.evaluate("() => JSON.stringify(sessionStorage)")
    page.get_by_label("GPUs").fill("99")
    expect(page.get_by_text("a number from 0 to 64")).to_be_visible()


def test_a_job_that_is_handed_in_twice_is_one(stage):
    page = stage.open("submit", user="alice")
    page.get_by_label("Command").fill("sleep 60")
    page.get_by_role("main").get_by_role("button", name="Submit", exact=True).dblclick()
    expect(page).to_have_url(re.compile(r"#/jobs/\d+$"))
    assert len(stage.plant.ask("GET", "/api/v1/jobs").json()["items"]) == 1
