"""Jobs through Reeve by each runner, on a real cluster, with what goes wrong there: controllers that are away, Reeve
killed at each step, objects that somebody deletes, quotas. What single calls do is in test_runner_calls.py."""

import signal
import uuid

import pytest
from faults import hold, wait_for
from reeve import Reeve, Refused, give_gpus
from test_runner_calls import KINDS, OF_ARGO, WAYS, script, step, template

ARGO_URL = "http://127.0.0.1:2746"
HELD = ["kube-job", "argo"]
pytestmark = pytest.mark.usefixtures("gpus")


@pytest.fixture(scope="module")
def gpus(cluster):
    give_gpus(cluster, 1)
    yield
    give_gpus(cluster, 0)


@pytest.fixture
def reeve(cluster, space, build, tmp_path):
    settings = {"templates": ["shows", "stubborn"], "template": "proto-gcn", "argo_server": ARGO_URL}
    options = ("--kube-keep=0s", "--source-api=open")
    reeve = Reeve(cluster, space, build, tmp_path, *options, **settings)
    reeve.start()
    yield reeve
    reeve.end()


def objects(space, way: str) -> list[str]:
    """Names of what Reeve made."""
    items = space.get(KINDS[way])["items"]
    return [item["metadata"]["name"] for item in items if not item["metadata"].get("ownerReferences")]


def attempt_pods(space) -> list[dict]:
    return space.get("pods", "--selector", "reeve.gpu/job")["items"]


def running_pods(space) -> list[dict]:
    return [pod for pod in attempt_pods(space) if pod["status"].get("phase") not in ("Succeeded", "Failed")]


@pytest.mark.parametrize("way", WAYS)
def test_jobs_run_one_after_the_other_end_and_are_cleared_away(reeve, space, way):
    good = reeve.submit(**script("echo on $REEVE_USER; sleep 1"), runner=way)
    bad = reeve.submit(**script("echo wrong >&2; exit 3"), runner=way, retries=0)
    long = reeve.submit(**script("trap 'exit 0' TERM; while :; do sleep 0.1; done"), runner=way)
    one = reeve.wait(good)
    assert one["state"] == "Completed", one
    assert "on admin\n" in reeve.output(good)
    two = reeve.wait(bad)
    assert (two["state"], two["exit_code"]) == ("Failed", 3), two
    assert "wrong\n" in reeve.output(bad)
    assert len(running_pods(space)) <= 1
    reeve.wait(long, "Running")
    reeve.cancel(long)
    assert reeve.wait(long)["state"] == "Cancelled"
    assert not running_pods(space)
    wait_for("all of it cleared away", lambda: not objects(space, way) and not attempt_pods(space), 60)


@pytest.mark.parametrize("way", WAYS)
def test_reeve_may_be_killed_while_a_job_runs(reeve, space, way):
    job = reeve.submit(**script("echo begun; sleep 8; echo done"), runner=way, retries=0)
    reeve.wait(job, "Running")
    reeve.stop(signal.SIGKILL)
    reeve.start()
    assert reeve.wait(job)["state"] == "Completed"
    assert reeve.output(job).count("begun") == 1
    assert "done\n" in reeve.output(job)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", ["cluster.sent", "cluster.made"])
def test_reeve_may_be_killed_while_an_object_is_made(reeve, space, way, point):
    reeve.stop()
    reeve.start(f"{point}=kill")
    mark = uuid.uuid4().hex
    job = reeve.submit(**script(f"echo {mark}; sleep 1"), runner=way, retries=0)
    reeve.process.wait(60)
    reeve.start()
    assert reeve.wait(job)["state"] == "Completed"
    assert reeve.output(job).count(mark) == 1


@pytest.mark.parametrize("way", HELD)
def test_what_ends_while_reeve_is_away_is_known_afterwards(reeve, space, way):
    job = reeve.submit(**script("sleep 4; exit 7"), runner=way, retries=0)
    reeve.wait(job, "Running")
    reeve.stop(signal.SIGKILL)
    wait_for("its pod over", lambda: not running_pods(space))
    reeve.start()
    ended = reeve.wait(job)
    assert (ended["state"], ended["exit_code"]) == ("Failed", 7), ended


@pytest.mark.parametrize("way", HELD)
def test_what_somebody_deletes_is_ended_and_tried_again(reeve, space, way):
    job = reeve.submit(**script("[ $REEVE_ATTEMPT_NUMBER = 2 ] || sleep 600"), runner=way, retries=1)
    reeve.wait(job, "Running")
    space.kubectl("delete", KINDS[way], *objects(space, way), "--wait=false")
    wait_for("a second attempt", lambda: reeve.job(job)["attempt"] == 2, 60)
    assert len(running_pods(space)) <= 1
    assert reeve.wait(job)["state"] == "Completed"


# ---- controllers ----


def test_while_argo_is_away_jobs_wait_and_say_so(reeve, space, faults):
    with faults.stopped("workflow-controller"):
        job = reeve.submit(**script("echo at last"), runner="argo")
        reeve.reads(job, "Argo's controller has not looked at its workflow yet")
        hold(2, lambda: reeve.job(job)["state"] == "Scheduled")
    assert reeve.wait(job)["state"] == "Completed"


def test_a_running_job_outlives_argo_s_controller(reeve, space, faults):
    job = reeve.submit(**script("sleep 6; exit 5"), runner="argo", retries=0)
    reeve.wait(job, "Running")
    with faults.stopped("workflow-controller"):
        wait_for("its pod over", lambda: not running_pods(space))
        assert reeve.job(job)["state"] == "Running"
    ended = reeve.wait(job)
    assert (ended["state"], ended["exit_code"]) == ("Failed", 5), ended


def test_a_job_is_cancelled_without_argo_s_controller_too(reeve, space, faults):
    job = reeve.submit(**script("sleep 600"), runner="argo")
    reeve.wait(job, "Running")
    with faults.stopped("workflow-controller"):
        reeve.cancel(job)
        assert reeve.wait(job, seconds=150)["state"] == "Cancelled"
        assert not running_pods(space)


def test_a_quota_that_is_used_up_is_named_and_waited_for(reeve, space):
    space.kubectl("create", "quota", "none", "--hard=pods=0")
    job = reeve.submit(**script("true"), runner="kube-job")
    reeve.reads(job, "exceeded quota")
    space.kubectl("delete", "quota", "none")
    assert reeve.wait(job)["state"] == "Completed"


# ---- templates ----


@pytest.mark.parametrize("way", OF_ARGO)
def test_a_template_runs_with_its_parameters(reeve, space, way):
    shows = step("main", 'printf "%s\\n" "$U" "$S"')
    shows["container"]["env"] = [
        {"name": "U", "value": "{{workflow.parameters.user}}"},
        {"name": "S", "value": "{{workflow.parameters.text}}"},
    ]
    space.apply(template("shows", shows))
    text = "a: {b} \"c\" 'd' $(e)"
    job = reeve.submit(template={"name": "shows", "parameters": {"text": text}}, runner=way)
    assert reeve.wait(job)["state"] == "Completed"
    assert f"admin\n{text}\n" in reeve.output(job)
    with pytest.raises(Refused, match="takes for a variable"):
        reeve.submit(template={"name": "shows", "parameters": {"text": "{{workflow.name}}"}})
    other = reeve.submit(template={"name": "other"}, retries=0)
    ended = reeve.wait(other)
    assert ended["state"] == "Failed" and "there is no template 'other'" in ended["reason"], ended


def test_the_first_interface_runs_the_template_that_the_cluster_names(reeve, space):
    trains = step("train", 'echo "$0 $1"')
    trains["container"]["args"] += ["{{workflow.parameters.config-file}}", "{{workflow.parameters.work-dir}}"]
    space.apply(template("proto-gcn", trains))
    answer = reeve.ask("POST", "/submit", {"user": "admin", "config_file": "a.yaml", "work_dir": "/tmp/run"})
    job = int(answer["job_id"])
    ended = reeve.wait(job)
    assert ended["state"] == "Completed", ended
    assert "a.yaml /tmp/run\n" in reeve.output(job)


def test_a_template_s_own_retries_are_shown(reeve, space):
    space.apply(template("stubborn", step("main", "exit 4", retryStrategy={"limit": "1"})))
    job = reeve.submit(template={"name": "stubborn"}, retries=0)
    ended = reeve.wait(job)
    assert (ended["state"], ended["exit_code"]) == ("Failed", 4), ended
    assert "tried 2 times" in ended["reason"], ended
