"""The server goes and comes back, the network is slow or cut: the page says so and goes on by itself."""

from playwright.sync_api import expect

NETWORK = ("ERR_CONNECTION_REFUSED", "ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE",
           "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_NETWORK_CHANGED", "503")  # fmt: skip


def test_a_restart_of_the_server_is_lived_through(stage):
    stage.allowed = NETWORK
    plant = stage.plant
    page = stage.open(user="alice")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    plant.reeved.kill()
    plant.reeved.wait()
    expect(page.get_by_text("No connection")).to_be_visible()
    expect(page.get_by_text("The server does not answer. What you see may be out of date")).to_be_visible()
    plant.start_reeved()
    expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=30_000)
    plant.submit(["sleep", "30"], user="alice", name="after-the-restart")
    expect(page.get_by_role("link", name="after-the-restart").first).to_be_visible()


def test_without_network_the_page_waits_and_then_catches_up(stage):
    stage.allowed = NETWORK
    page = stage.open(user="alice")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    # Streams that are open are not cut by this, so the server is told to end them.
    page.context.set_offline(True)
    stage.plant.reeved.kill()
    stage.plant.reeved.wait()
    stage.plant.start_reeved()
    expect(page.get_by_text("No connection")).to_be_visible()
    stage.plant.submit(["sleep", "30"], user="alice", name="while-away")
    page.context.set_offline(False)
    expect(page.get_by_role("link", name="while-away").first).to_be_visible(timeout=20_000)


def test_on_a_slow_line_the_page_says_that_it_loads(stage):
    page = stage.open(user=None)
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 600, "downloadThroughput": 50_000, "uploadThroughput": 20_000}
    line.send("Network.emulateNetworkConditions", slow)
    page.goto(stage.link("alice"))
    expect(page.locator("nav.nav")).to_be_visible(timeout=20_000)
    expect(page.locator(".loading").first).to_be_visible()
    expect(page.get_by_text("GPUs in use")).to_be_visible(timeout=20_000)


def test_a_tab_has_one_stream(stage):
    page = stage.open(user="alice")
    streams = []
    page.on("request", lambda r: streams.append(r.url) if "/api/v1/events" in r.url else None)
    page.reload()
    page.get_by_text("Live", exact=True).wait_for()
    for place in ("queue", "jobs", "fleet", "submit", ""):
        stage.go(page, place)
        page.wait_for_timeout(300)
    assert len(streams) == 1
