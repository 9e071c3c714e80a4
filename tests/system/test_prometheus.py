"""A real Prometheus watches both programs, with the lines of the tutorial."""

import re
import shutil
import subprocess

import pytest
import requests
from plant import Plant, free_port, until

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here: install that package")


@pytest.fixture
def plant(build, tmp_path):
    p = Plant(build, agent=["--sample", "1s"]).start()
    yield p
    p.stop()


@pytest.fixture
def prometheus(plant, tmp_path):
    token = plant.ask("POST", "/api/v1/users", {"name": "watcher", "role": "viewer"})
    assert token.status_code == 201
    token = plant.ask("POST", "/api/v1/tokens", {"user": "watcher"}).json()["token"]
    (tmp_path / "reeve.token").write_text(token + "\n")
    (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: reeve-gpus
    static_configs: [{{targets: ['127.0.0.1:{plant.agent_port}']}}]
  - job_name: reeve
    authorization: {{credentials_file: {tmp_path}/reeve.token}}
    static_configs: [{{targets: ['127.0.0.1:{plant.api_port}']}}]
""")
    port = free_port()
    with open(tmp_path / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/series",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def query(text):
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": text}, timeout=5)
            return answer.json()["data"]["result"] if answer.ok else []
        except requests.RequestException:
            return []

    yield query
    process.terminate()
    process.wait(20)


def test_it_scrapes_the_agent_and_the_control_plane(plant, prometheus):
    up = until(lambda: (u := prometheus("up == 1")) and len(u) == 2 and u, 40)
    assert {u["metric"]["job"] for u in up} == {"reeve", "reeve-gpus"}
    plant.submit(["sleep", "30"])
    until(lambda: prometheus("reeve_jobs_running == 1"))
    busy = until(lambda: prometheus("DCGM_FI_DEV_GPU_UTIL > 0"))
    assert busy[0]["metric"]["modelName"] == "NVIDIA GeForce RTX 3080"
    assert prometheus("node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 1")
    until(lambda: prometheus("rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[10s]) > 0"))
    assert not prometheus("scrape_samples_scraped == 0")


def test_names_of_our_own_please_its_linter(plant):
    """Those of DCGM-exporter and node_exporter are what they are."""
    agent = requests.get(f"{plant.agent_url}/metrics", timeout=5).text
    control = plant.ask("GET", "/metrics").text
    for text in (agent, control):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        said = [line for line in (done.stdout + done.stderr).splitlines() if line]
        assert [line for line in said if not re.match(r"(DCGM_FI|node)_", line)] == []
