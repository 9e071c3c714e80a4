"""The Kubernetes runners on a real cluster, call by call (runner_story): the objects that they make are taken and run
as meant, and what became of them is judged rightly. How jobs go through Reeve as a whole is not looked at here."""

import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from faults import hold, wait_for
from parts import images
from parts.components import API_URL, NODE

BUILD = Path(os.environ.get("REEVE_BUILD", Path(__file__).parents[2] / "build"))
STORY = BUILD / "tests/unit/runner/runner_story"
TEMPLATE = Path(__file__).parents[2] / "deploy/kubernetes/components/argo/template/proto-gcn.yaml"
ARGO_URL = "http://127.0.0.1:2746"

WAYS = ["kube-pod", "kube-job", "argo", "argo-server"]
KINDS = {"kube-pod": "pod", "kube-job": "job", "argo": "workflow", "argo-server": "workflow"}
OF_ARGO = ["argo", "argo-server"]
pytestmark = pytest.mark.usefixtures("gpus")


@pytest.fixture(scope="module")
def gpus(cluster):
    """The node says that it has one GPU."""
    path = "/status/capacity/nvidia.com~1gpu"

    def has(count: str | None) -> bool:
        return cluster.get("node", NODE)["status"]["allocatable"].get("nvidia.com/gpu") == count

    def patch(**change) -> None:
        body = json.dumps([change | {"path": path}])
        cluster.kubectl("patch", "node", NODE, "--subresource=status", "--type=json", "--patch", body)

    patch(op="add", value="1")
    wait_for("a GPU on the node", lambda: has("1"))
    yield
    patch(op="remove")


class Attempt:
    """One object that a runner made, and what became of it."""

    def __init__(self, cluster, space, way: str, name: str):
        self.cluster, self.space, self.way, self.name = cluster, space, way, name

    def object(self) -> dict:
        return self.space.get(KINDS[self.way], self.name)

    def is_there(self) -> bool:
        return self.space.does("get", KINDS[self.way], self.name)

    def pods(self) -> list[dict]:
        if self.way == "kube-pod":
            return []
        owner = "batch.kubernetes.io/job-name" if self.way == "kube-job" else "workflows.argoproj.io/workflow"
        return self.space.get("pods", "--selector", f"{owner}={self.name}")["items"]

    def judged(self) -> dict:
        return story("judge", self.way, input=json.dumps({"items": [self.object(), *self.pods()]}))

    def until(self, *states: str, seconds: float = 90) -> dict:
        def there() -> dict | None:
            view = self.judged()
            return view if view["state"] in states else None

        return wait_for(f"{self.name} {' or '.join(states)}", there, seconds)

    def over(self, seconds: float = 90) -> dict:
        return self.until("ended", "refused", "lost", seconds=seconds)

    def waits(self, words: str, seconds: float = 60) -> dict:
        def there() -> dict | None:
            view = self.judged()
            return view if view["state"] == "waiting" and words in view["why"] else None

        return wait_for(f"{self.name} to wait, as '{words}'", there, seconds)

    def ask(self, what: str) -> None:
        send(self.cluster, self.way, story(what, self.way, input=json.dumps(self.object())))

    def log(self) -> str:
        if self.way == "kube-pod":
            return self.space.kubectl("logs", self.name)
        logs = [self.space.kubectl("logs", pod["metadata"]["name"], "-c", "main") for pod in self.pods()]
        return re.sub(r"(?m)^time=.* argo=true.*\n", "", "".join(logs))


def story(*arguments: str, **options) -> dict:
    done = subprocess.run([STORY, *arguments], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise ValueError(done.stderr)
    return json.loads(done.stdout)


def send(cluster, way: str, request: dict) -> dict:
    """Sends what a runner wants to be sent."""
    keys = cluster.place.keys
    url, context = (ARGO_URL, None) if way == "argo-server" else (API_URL, ssl._create_unverified_context())
    if context:
        context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
    body = json.dumps(request["body"]).encode() if "body" in request else None
    asks = urllib.request.Request(
        url + request["target"], body, {"Content-Type": request["type"]}, method=request["method"]
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with cluster.network(), opener.open(asks, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{request['method']} {request['target']}: {error.read().decode()}") from error


@pytest.fixture
def attempt(cluster, space):
    """Makes attempts; what is left of them is released, so that their namespace can go."""
    made: list[Attempt] = []

    def make(way: str, spec: dict, gpus: int = 0, limit_ms: int = 0, **settings) -> Attempt:
        settings = {"namespace": space.name, "pull_policy": "Never", "image": images.TEST, "grace_s": 2} | settings
        request = story("make", way, json.dumps(settings), NODE, str(gpus), json.dumps(spec), str(limit_ms))
        answer = send(cluster, way, request)
        made.append(Attempt(cluster, space, way, answer["metadata"]["name"]))
        return made[-1]

    yield make
    for one in made:
        if one.is_there() and one.way != "argo-server":
            one.ask("release")


def script(text: str, **more) -> dict:
    return {"command": ["sh", "-c", text]} | more


def template(name: str, *templates: dict, **spec) -> dict:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": name},
        "spec": {"entrypoint": templates[0]["name"], "templates": list(templates)} | spec,
    }


def step(name: str, text: str = "{{workflow.parameters.script}}", limits: dict | None = None, **more) -> dict:
    container = {"image": images.TEST, "imagePullPolicy": "Never", "command": ["sh", "-c"], "args": [text]}
    if limits:
        container["resources"] = {"limits": limits}
    return {"name": name, "container": container} | more


def runs(name: str, text: str = "true") -> dict:
    return {"template": {"name": name, "parameters": {"script": text}}}


# ---- a command of the job's own, by each way ----


@pytest.mark.parametrize("way", WAYS)
def test_a_command_runs_as_it_stands_with_its_environment_and_device(attempt, way):
    text = "echo \"$A|$REEVE_USER\"; echo '{{workflow.name}} {{{ }} {{=1+1}} $(HOME) $$'; exit 0"
    one = attempt(way, script(text, env={"A": "{{workflow.name}} $(PATH)"}), gpus=1)
    assert one.over() | {"why": ""} == one.judged() | {"why": ""}
    view = one.judged()
    assert (view["state"], view["outcome"], view["exit_code"], view["started"]) == ("ended", "completed", 0, True)
    assert one.log() == "{{workflow.name}} $(PATH)|alice\n{{workflow.name}} {{{ }} {{=1+1}} $(HOME) $$\n"
    pod = one.object() if way == "kube-pod" else one.pods()[0]
    main = next(c for c in pod["spec"]["containers"] if c["name"] == "main")
    assert main["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert main["resources"]["limits"]["memory"] == "64Mi"
    assert pod["metadata"]["labels"]["reeve.gpu/user"] == "alice"
    assert pod["metadata"]["annotations"]["reeve.gpu/attempt-id"]


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize(
    ("text", "outcome", "code", "words"),
    [("exit 3", "failed", 3, "exit code 3"), ("x=a; while :; do x=$x$x; done", "out-of-memory", 137, "memory")],
    ids=["exit", "memory"],
)
def test_how_it_ended_is_told(attempt, way, text, outcome, code, words):
    view = attempt(way, script(text)).over()
    assert (view["state"], view["outcome"], view["exit_code"]) == ("ended", outcome, code), view
    assert words in view["why"]


@pytest.mark.parametrize("way", WAYS[:3])
def test_an_image_that_is_not_there_is_waited_for_and_said_to_be_hopeless(attempt, way):
    one = attempt(way, script("true", image="localhost/none:1"))
    assert one.waits("the image is not on the node")["hopeless"]


@pytest.fixture
def taken(space):
    """Somebody else's pod has the GPU."""
    space.pod("foreign", "sleep 600", {"resources": {"limits": {"nvidia.com/gpu": "1"}}}, nodeName=NODE)
    space.wait_phase("foreign", "Running")
    yield
    space.kubectl("delete", "pod", "foreign", "--now")


@pytest.mark.parametrize("way", WAYS)
def test_a_device_that_somebody_else_took_meanwhile_is_a_new_decision(attempt, taken, way):
    view = attempt(way, script("true"), gpus=1).over()
    assert view["state"] == "refused" and "nvidia.com/gpu" in view["why"], view


@pytest.mark.parametrize("way", WAYS)
def test_a_time_limit_is_kept_by_the_cluster_too(attempt, way):
    """The cluster's own is a minute longer than what is left to Reeve, for when that is away."""
    one = attempt(way, script("sleep 600"), limit_ms=1000)
    spec = one.object()["spec"]
    assert (spec["template"]["spec"] if way == "kube-job" else spec)["activeDeadlineSeconds"] == 61


@pytest.mark.parametrize("way", WAYS)
def test_cancelling_ends_the_pods_and_keeps_what_tells_of_it(attempt, way):
    one = attempt(way, script("trap 'echo told; exit 5' TERM; while :; do sleep 0.1; done"), gpus=1)
    one.until("running")
    one.ask("cancel")
    view = one.over()
    assert view["state"] in ("ended", "lost"), view
    assert one.is_there()
    assert all(pod["status"]["phase"] in ("Succeeded", "Failed") for pod in one.pods())
    if way == "argo-server":
        return
    one.ask("release")
    if way in ("kube-pod", "kube-job"):
        wait_for("the object gone", lambda: not one.is_there())
    else:
        assert "finalizers" not in one.object()["metadata"]


@pytest.mark.parametrize("way", ["kube-job", "argo"])
def test_what_somebody_deleted_is_ended_all_the_same(attempt, space, way):
    """Held by our finalizer its pods would run on: what ends it also ends one that is deleted already."""
    one = attempt(way, script("sleep 600"))
    one.until("running")
    space.kubectl("delete", KINDS[way], one.name, "--wait=false")
    hold(3, lambda: one.judged()["state"] == "running")
    one.ask("cancel")
    assert one.over()["state"] in ("ended", "lost")


# ---- by a controller, which may be away or refused ----


@pytest.mark.parametrize(
    ("way", "controller"), [("kube-job", "kube-controller-manager"), ("argo", "workflow-controller")]
)
def test_while_the_controller_is_away_it_waits_and_says_so(attempt, faults, way, controller):
    with faults.stopped(controller):
        one = attempt(way, script("true"))
        hold(3, lambda: one.judged()["state"] == "waiting" and "controller" in one.judged()["why"])
    assert one.over()["outcome"] == "completed"


def test_a_quota_that_is_used_up_is_waited_for(attempt, space):
    space.kubectl("create", "quota", "none", "--hard=pods=0")
    attempt("kube-job", script("true")).waits("no pod of its Job")
    one = attempt("argo", script("true"))
    one.waits("exceeded quota")
    space.kubectl("delete", "quota", "none")
    assert one.over()["outcome"] == "completed"


def test_what_admission_refuses_did_not_start(attempt, space):
    space.kubectl("label", "namespace", space.name, "pod-security.kubernetes.io/enforce=restricted")
    view = attempt("argo", script("true")).over()
    assert view["outcome"] == "not-started" and "violates PodSecurity" in view["why"], view


# ---- templates ----


@pytest.mark.parametrize("way", OF_ARGO)
def test_a_template_gets_its_parameters_as_data(attempt, space, way):
    shows = step("main", 'printf "%s\\n" "$U" "$S"')
    shows["container"]["env"] = [
        {"name": "U", "value": "{{workflow.parameters.user}}"},
        {"name": "S", "value": "{{workflow.parameters.script}}"},
    ]
    space.apply(template("shows", shows))
    text = "\"}}' \\ \t; echo no\n- name: user # é"
    one = attempt(way, runs("shows", text), templates=["shows"])
    assert one.over()["outcome"] == "completed"
    assert one.log() == f"alice\n{text}\n"
    with pytest.raises(ValueError, match="has '{{' in it"):
        attempt(way, runs("shows", "{{workflow.name}}"), templates=["shows"])
    with pytest.raises(ValueError, match="there is no template 'other'"):
        attempt(way, runs("other"), templates=["shows"])


def test_a_template_that_is_not_there_did_not_start(attempt):
    view = attempt("argo", runs("nothere"), templates=["nothere"]).over()
    assert view["outcome"] == "not-started" and '"nothere" not found' in view["why"], view


def test_steps_go_to_the_node_that_was_chosen_with_the_devices_that_were(attempt, space, neighbour):
    """Whatever the template says of devices; and one step waits until another has given its own back."""
    both = [{"name": name, "template": "b"} for name in ("x", "y")]
    steps = {"name": "all", "steps": [[{"name": "prepare", "template": "a"}], both]}
    a, b = step("a", "sleep 1", {"memory": "32Mi"}), step("b", "sleep 2", {"nvidia.com/gpu": "4"})
    space.apply(template("many", steps, a, b))
    one = attempt("argo", runs("many"), gpus=1, templates=["many"])
    view = one.over()
    assert (view["outcome"], view["done"], view["total"]) == ("completed", 3, 3), view
    memory = set()
    for pod in one.pods():
        main = next(c for c in pod["spec"]["containers"] if c["name"] == "main")
        assert pod["spec"]["nodeName"] == NODE
        assert main["resources"]["limits"]["nvidia.com/gpu"] == "1"
        memory.add(main["resources"]["limits"]["memory"])
    assert memory == {"32Mi", "64Mi"}


def test_without_devices_a_template_gets_none(attempt, space):
    space.apply(template("greedy", step("main", "true", {"nvidia.com/gpu": "1"})))
    one = attempt("argo", runs("greedy"), templates=["greedy"])
    assert one.over()["outcome"] == "completed"
    for container in one.pods()[0]["spec"]["containers"]:
        assert "nvidia.com/gpu" not in container["resources"].get("limits", {})


def test_a_template_s_own_retries_are_counted(attempt, space):
    space.apply(template("stubborn", step("main", "exit 4", retryStrategy={"limit": "2"})))
    view = attempt("argo", runs("stubborn"), templates=["stubborn"]).over(seconds=150)
    assert (view["outcome"], view["exit_code"]) == ("failed", 4)
    assert view["why"] == "tried 3 times, at last: exit code 4"


def test_the_step_that_failed_is_named(attempt, space):
    steps = {"name": "all", "steps": [[{"name": "prepare", "template": "a"}], [{"name": "train", "template": "b"}]]}
    space.apply(template("two", steps, step("a", "true"), step("b", "exit 6")))
    view = attempt("argo", runs("two"), templates=["two"]).over()
    assert (view["outcome"], view["exit_code"], view["why"]) == ("failed", 6, "step 'train': exit code 6")


def test_a_template_s_haste_to_clear_away_does_not_lose_the_end(attempt, space):
    hasty = {
        "ttlStrategy": {"secondsAfterCompletion": 0},
        "podGC": {"strategy": "OnPodCompletion", "deleteDelayDuration": "0s"},
    }
    space.apply(template("hasty", step("main", "exit 9"), **hasty))
    one = attempt("argo", runs("hasty"), templates=["hasty"])
    wait_for("it is deleted", lambda: "deletionTimestamp" in one.object()["metadata"])
    view = one.over()
    assert (view["outcome"], view["exit_code"]) == ("failed", 9), view
    one.ask("release")
    wait_for("it is gone", lambda: not one.is_there())


def test_the_example_s_template_trains(attempt, cluster, space, tmp_path):
    program = BUILD / "examples/proto-gcn/proto-gcn"
    linked = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], capture_output=True, text=True).stdout)
    files: dict[str, images.Source] = {"bin/proto-gcn": program}
    files |= {path.lstrip("/"): Path(path).resolve() for path in linked}
    settings = tmp_path / "quick.yaml"
    shutil.copy(Path(__file__).parents[2] / "examples/proto-gcn/configs/ntu60_joint.yaml", settings)
    files["configs/joint.yaml"] = settings.read_bytes()
    cluster.image("localhost/proto-gcn:test", files, ["/bin/proto-gcn"], folders={"tmp": 0o1777})
    space.kubectl("create", "--filename", str(TEMPLATE))
    spec = {"config_file": "/configs/joint.yaml", "work_dir": "/tmp/run", "image": "localhost/proto-gcn:test"}
    one = attempt("argo", spec | {"template": {"name": "proto-gcn"}}, gpus=1, template="proto-gcn")
    view = one.over(seconds=180)
    assert view["outcome"] == "completed", view
    assert "epoch" in one.log()
    limits = next(c for c in one.pods()[0]["spec"]["containers"] if c["name"] == "main")["resources"]["limits"]
    assert limits["memory"] == "16Gi" and limits["nvidia.com/gpu"] == "1"
