"""The scene that Reeve is for, on a real cluster: users submit, Reeve decides, pods run on the node's GPUs, states and
logs come back; and what may go wrong on the way."""

import itertools
import signal
import time

import pytest
from faults import hold, wait_for
from parts.components import NODE
from reeve import GPU, Reeve, give_gpus


@pytest.fixture
def reeve(cluster, space, build, tmp_path):
    give_gpus(cluster, 1)
    reeve = Reeve(cluster, space, build, tmp_path, "--kube-keep=3s")
    yield reeve
    reeve.end()
    give_gpus(cluster, 0)


def spans(reeve: Reeve, jobs: list[int]) -> list[tuple[str, str]]:
    attempts = [reeve.job(job)["attempts"][-1] for job in jobs]
    return sorted((a["started_at"], a["ended_at"]) for a in attempts)


def test_three_users_share_one_gpu_one_after_the_other(reeve, space):
    reeve.start()
    node = wait_for("the node", lambda: reeve.node() if reeve.node()["state"] == "ready" else None)
    assert node["cluster"] == "kubernetes"
    assert len(node["devices"]) == 1
    users = ("alice", "bob", "carol")
    for user in users:
        reeve.add_user(user)
    jobs = {user: reeve.submit(f"echo {user} works; sleep 2; echo {user} is done", user) for user in users}
    reeve.wait(jobs["alice"], "Running", "Completed")
    assert reeve.job(jobs["carol"])["state"] == "Queued"
    pod = reeve.pods()[0]
    assert pod["metadata"]["labels"]["reeve.gpu/user"] == "alice"
    assert pod["spec"]["nodeName"] == NODE
    for user in users:
        assert reeve.wait(jobs[user])["state"] == "Completed"
        wait_for("its log", lambda u=user: reeve.output(jobs[u], u) == f"{u} works\n{u} is done\n", 15)
    one_after_the_other = spans(reeve, list(jobs.values()))
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(one_after_the_other))
    wait_for("no pods left", lambda: not reeve.pods(), 30)
    assert reeve.output(jobs["bob"], "bob") == "bob works\nbob is done\n"
    reeve.check_ledger()


def test_two_gpus_serve_two_jobs_at_once(reeve, cluster):
    give_gpus(cluster, 2)
    reeve.start()
    jobs = [reeve.submit("sleep 4") for _ in range(2)]
    for job in jobs:
        assert reeve.wait(job)["state"] == "Completed"
    (_, first_end), (second_start, _) = spans(reeve, jobs)
    assert second_start < first_end


def test_a_pod_that_needs_more_memory_than_it_may_have_says_so(reeve):
    reeve.start()
    job = reeve.submit("tail /dev/zero", memory="64MiB")
    answer = reeve.wait(job)
    assert answer["state"] == "Failed"
    assert answer["attempts"][-1]["outcome"] == "out-of-memory"


def test_an_image_that_is_not_there_is_named_while_it_is_waited_for_and_at_the_end(reeve, space):
    reeve.options += ["--kube-start-limit=12s"]
    reeve.start()
    job = reeve.submit("true", image="localhost/none:1")
    wait_for("the reason", lambda: "image" in (reeve.job(job).get("reason") or ""), 20)
    answer = reeve.wait(job)
    assert answer["state"] == "Failed"
    assert answer["attempts"][-1]["outcome"] == "not-started"
    assert "image" in answer["attempts"][-1]["reason"]
    next_one = reeve.submit("true")
    assert reeve.wait(next_one)["state"] == "Completed"


def test_a_command_that_is_not_there_says_so(reeve):
    reeve.start()
    answer = reeve.wait(reeve.ask("POST", "/api/v1/jobs", {"command": ["no-such-program"], "gpus": 1})["id"])
    assert answer["state"] == "Failed"
    assert "no-such-program" in answer["attempts"][-1]["reason"]


def test_cancelled_and_out_of_time(reeve):
    reeve.start()
    job = reeve.submit("sleep 1000")
    reeve.wait(job, "Running")
    reeve.ask("POST", f"/api/v1/jobs/{job}/cancel", {})
    assert reeve.wait(job)["state"] == "Cancelled"
    job = reeve.submit("sleep 1000", time_limit="3s")
    answer = reeve.wait(job)
    assert answer["attempts"][-1]["outcome"] == "time-limit"
    wait_for("no pods left", lambda: not reeve.pods(), 30)


@pytest.mark.parametrize("point", ["cluster.sent", "cluster.made", "cluster.release", "cluster.remove"])
def test_reeved_is_killed_and_nothing_starts_twice(reeve, point):
    reeve.start(f"{point}=kill@1")
    job = reeve.submit("echo once; sleep 1")
    reeve.process.wait(60)
    reeve.start()
    answer = reeve.wait(job)
    assert answer["state"] == "Completed"
    assert [a["outcome"] for a in answer["attempts"]] == ["completed"]
    wait_for("its log", lambda: reeve.output(job) == "once\n", 15)
    wait_for("no pods left", lambda: not reeve.pods(), 30)
    reeve.check_ledger()


def test_reeved_is_killed_while_jobs_run_and_wait_and_their_output_is_whole(reeve):
    reeve.start()
    script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.05; done"
    jobs = [reeve.submit(script), reeve.submit("echo second")]
    for moment in (1, 2, 0.5, 3, 2):
        time.sleep(moment)
        reeve.stop(signal.SIGKILL)
        reeve.start()
    for job in jobs:
        answer = reeve.wait(job)
        assert [a["outcome"] for a in answer["attempts"]] == ["completed"]
    lines = [f"line {i}" for i in range(1, 201)]
    wait_for("the log", lambda: reeve.output(jobs[0]).splitlines() == lines, 20)


def test_the_api_server_is_away_for_a_while(reeve, faults):
    reeve.start()
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
    running, waiting = reeve.submit(script), reeve.submit("echo second")
    reeve.wait(running, "Running")
    with faults.stopped("kube-apiserver"):
        wait_for("the node unknown", lambda: reeve.node()["state"] == "unknown", 60)
        assert reeve.job(running)["state"] == "Running"
        time.sleep(10)
    answer = reeve.wait(running, seconds=120)
    assert [a["outcome"] for a in answer["attempts"]] == ["completed"]
    assert reeve.wait(waiting, seconds=60)["state"] == "Completed"
    wait_for("the log", lambda: reeve.output(running).splitlines() == [f"line {i}" for i in range(1, 301)], 30)


def test_a_pod_of_others_takes_the_gpu_between_decision_and_start(reeve, space):
    reeve.start("cluster.sent=sleep:4000@1")
    job = reeve.submit("echo at last")
    wait_for("the decision", lambda: reeve.job(job)["state"] == "Scheduled", 20)
    space.pod("theirs", "sleep 1000", {"resources": {"limits": {GPU: "1"}}}, nodeName=NODE)
    space.wait_phase("theirs", "Running")
    wait_for("it is decided anew", lambda: reeve.job(job)["state"] == "Queued", 30)
    hold(5, lambda: reeve.job(job)["state"] == "Queued")
    assert reeve.job(job)["attempts"][0]["outcome"] == "refused"
    space.kubectl("delete", "pod", "theirs", "--grace-period=1")
    assert reeve.wait(job)["state"] == "Completed"


def test_a_pod_that_somebody_deletes_is_tried_again(reeve, space):
    reeve.start()
    job = reeve.submit("sleep 8; echo done", retries=1)
    reeve.wait(job, "Running")
    space.kubectl("delete", "pod", reeve.pods()[0]["metadata"]["name"], "--wait=false", "--grace-period=1")
    answer = reeve.wait(job)
    assert answer["state"] == "Completed"
    assert [a["outcome"] for a in answer["attempts"]] == ["lost", "completed"]
    assert "deleted" in answer["attempts"][0]["reason"]


def test_kubelet_is_away_and_back_and_the_job_goes_on(reeve, faults):
    reeve.start()
    job = reeve.submit("sleep 45; echo survived")
    reeve.wait(job, "Running")
    with faults.stopped("kubelet"):
        wait_for("the node unknown", lambda: reeve.node()["state"] == "unknown", 90)
        assert reeve.job(job)["state"] == "Running"
    wait_for("the node ready", lambda: reeve.node()["state"] == "ready", 60)
    answer = reeve.wait(job, seconds=120)
    assert [a["outcome"] for a in answer["attempts"]] == ["completed"]


def test_a_cordoned_node_gets_nothing_new_and_says_so(reeve, cluster):
    reeve.start()
    wait_for("the node ready", lambda: reeve.node()["state"] == "ready", 30)
    cluster.kubectl("cordon", NODE)
    try:
        time.sleep(2)
        job = reeve.submit("true")
        hold(3, lambda: reeve.job(job)["state"] == "Queued")
        assert "cordon" in reeve.job(job)["reason"]
    finally:
        cluster.kubectl("uncordon", NODE)
    assert reeve.wait(job)["state"] == "Completed"
