"""GPUs that hang, vanish, fail or are used by others: /status and the queue say so, and the agent goes on."""

import contextlib
import secrets
import tempfile
import time
from pathlib import Path

import requests
from hostile import has_lost_nothing
from plant import Plant, until

SAMPLES = ["--sample", "1s", "--shared-uid", "--grace", "1s"]


@contextlib.contextmanager
def plant_with(build, scenario, gate=False):
    folder = Path(tempfile.mkdtemp(prefix="reeve-gpus-"))
    # Simulated devices are the machine's, so each test has some of its own.
    (folder / "sim.yaml").write_text(f"name: t{secrets.token_hex(8)}\n{scenario}\n")
    # What else runs here must not decide whether a job may start: only the GPU does.
    reeved = ["--gate-cpu", "100", "--gate-memory", "100"] if gate else []
    p = Plant(build, folder / "sim.yaml", agent=SAMPLES, reeved=reeved, gate=gate, folder=folder)
    p.start()
    pid = p.agent.pid
    try:
        yield p
        assert p.agent.poll() is None and p.agent.pid == pid
        assert status(p)["link"] == "up"
        has_lost_nothing(p, [])
    finally:
        print(p.log_tail("agent.log"))
        p.stop()


def status(p):
    answer = requests.get(p.agent_url + "/status", timeout=10)
    assert answer.status_code == 200
    told = answer.json()
    first = ["gpu_utilization", "gpu_memory_used", "gpu_memory_total", "cpu_usage", "memory_usage", "available"]
    assert list(told)[:6] == first
    return told


def device(p, index=0):
    return next(d for d in status(p)["devices"] if d["index"] == index)


def health_is(p, *words, index=0):
    return until(lambda: (d := device(p, index))["health"] in words and d, 30, every=0.2)


def waits_because(p, job, *words):
    def look():
        j = p.job(job)
        return j["state"] == "Queued" and j["reason"] and any(w in j["reason"] for w in words) and j

    return until(look, 30, every=0.2)


def metrics_are_sound(p):
    text = requests.get(p.agent_url + "/metrics", timeout=10).text
    for line in text.splitlines():
        if line and not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])
    assert "nan" not in text.lower().replace("nanosleep", ""), text


def test_a_gpu_whose_calls_hang_is_put_aside_and_comes_back(build):
    faults = "faults: [{kind: hang, device: 0, from: 6s, for: 14s}]"
    with plant_with(build, "devices: [{model: rtx-3080}]\n" + faults) as p:
        running = p.submit(["sleep", "12"])["id"]
        p.wait_state(running, "Running", seconds=20)
        seen = health_is(p, "hung")
        assert seen["reason"], seen
        began = time.monotonic()
        assert not status(p)["available"] and time.monotonic() - began < 5
        metrics_are_sound(p)
        waits = p.submit(["true"])["id"]
        # The job on it is not disturbed, the next waits, and starts when the device is back.
        assert p.wait_state(running, seconds=40)["state"] == "Completed"
        assert p.job(waits)["state"] in ("Queued", "Scheduled", "Running", "Completed")
        health_is(p, "ok")
        assert p.wait_state(waits, seconds=60)["state"] == "Completed"


def test_a_lost_gpu_is_named_in_the_reason_and_others_go_on(build):
    scenario = "devices: [{model: rtx-3080, count: 2}]\nfaults: [{kind: lost, device: 0, from: 4s}]"
    with plant_with(build, scenario) as p:
        assert health_is(p, "lost")["reason"]
        assert device(p, 1)["health"] == "ok"
        assert p.wait_state(p.submit(["true"])["id"])["state"] == "Completed"
        two = p.submit(["true"], gpus=2)["id"]
        waits_because(p, two, "lost", "faulty", "GPU 0", "no node", "gone")
        metrics_are_sound(p)


def test_a_critical_xid_takes_a_gpu_out_of_use_and_an_applications_own_does_not(build):
    faults = """faults:
  - {kind: xid, device: 0, code: 48, from: 3s, recovery_action: 1}
  - {kind: xid, device: 1, code: 31, from: 3s}
"""
    with plant_with(build, "devices: [{model: h100, count: 2}]\n" + faults) as p:
        bad = health_is(p, "failed")
        assert "48" in bad["reason"] or bad["last_xid"], bad
        until(lambda: device(p, 1)["last_xid"], 30)
        assert device(p, 1)["health"] == "ok"
        job = p.wait_state(p.submit(["true"])["id"])
        assert job["state"] == "Completed" and job["attempts"][-1]["devices"][0]["index"] == 1
        waits_because(p, p.submit(["true"], gpus=2)["id"], "48", "fail", "fault", "XID")


def test_a_gpu_that_tells_next_to_nothing_still_runs_jobs(build):
    lacks = "utilization, codecs, power, power_limit, temperature, fan, clocks, pstate, throttle, pcie"
    scenario = f"devices: [{{model: gtx-1080, not_supported: [{lacks}, processes, process_use, events, energy, ecc]}}]"
    with plant_with(build, scenario, gate=True) as p:
        told = status(p)
        assert told["gpu_utilization"] is None and told["gpu_memory_total"], told
        metrics_are_sound(p)
        job = p.wait_state(p.submit(["true"])["id"])
        assert job["state"] == "Completed" and job["run_ms"] >= 0, job


def test_a_gpu_that_others_use_makes_jobs_wait_with_the_reason(build):
    used = "{pid: 4000001, name: /usr/bin/render, memory: 9GiB, load: 30, for: 6s}"
    with plant_with(build, f"devices: [{{model: rtx-3080, processes: [{used}]}}]", gate=True) as p:
        assert not status(p)["available"]
        job = p.submit(["true"])["id"]
        told = waits_because(p, job, "busy", "free")
        assert "GPU" in told["reason"], told
        assert p.wait_state(job, seconds=60)["state"] == "Completed"


def test_a_driver_that_is_not_there_or_dies_is_said_and_looked_for_again(build):
    faults = "faults: [{kind: driver_restart, from: 5s, for: 4s}]"
    with plant_with(build, "devices: [{model: rtx-3080}]\n" + faults) as p:
        gone = until(lambda: (d := device(p))["health"] != "ok" and d, 30, every=0.2)
        assert gone["reason"] or status(p)["reason"], gone
        assert not status(p)["available"]
        metrics_are_sound(p)
        waits_because(p, p.submit(["true"])["id"], "unknown", "not", "GPU")


def test_calls_that_fail_in_every_way_do_not_stop_the_agent(build):
    calls = ["nvmlDeviceGetUtilizationRates", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPowerUsage"]
    faults = [f"{{kind: error, call: {c}, code: {code}}}" for c, code in zip(calls, (999, 15, 3), strict=True)]
    faults += ["{kind: slow, delay_ms: 300, call: nvmlDeviceGetTemperature}"]
    with plant_with(build, "devices: [{model: rtx-3080}]\nfaults: [" + ", ".join(faults) + "]") as p:
        for _ in range(3):
            status(p)
            metrics_are_sound(p)
            time.sleep(0.5)


def test_a_scenario_that_makes_no_sense_leaves_a_machine_without_gpus(build):
    folder = Path(tempfile.mkdtemp(prefix="reeve-gpus-"))
    (folder / "sim.yaml").write_text("devices: [{model: no-such-model")
    p = Plant(build, folder / "sim.yaml", agent=SAMPLES, folder=folder)
    try:
        p.start_reeved()
        p.start_agent(wait=False)

        def told():
            with contextlib.suppress(requests.RequestException):
                return status(p)

        seen = until(told, 30)
        assert seen["gpu_memory_total"] is None and seen["available"] is False
        until(lambda: told()["reason"], 30)
        until(lambda: any(n["state"] == "ready" for n in p.ask("GET", "/api/v1/nodes").json()["items"]), 30)
        waiting = p.submit(["true"])["id"]
        assert p.job(waiting)["reason"]
        done = p.wait_state(p.submit(["true"], gpus=0)["id"])
        assert done["state"] == "Completed"
    finally:
        p.stop()
