"""The manifests: that they can be built, fit each other and the programs, and give no more than is needed. What a
cluster makes of them is another test (tests/cluster/test_deploy.py)."""

import os
import re
import subprocess

import pytest
import yaml
from conftest import TOP

MANIFESTS = TOP / "deploy/kubernetes"
# Each folder that is applied, with what it is put beside.
INSTALLATIONS = {
    path.parent.name: ["default", "operator"] if path.parent.name in ("operator", "crds") else [path.parent.name]
    for path in sorted(MANIFESTS.glob("*/kustomization.yaml"))
    if path.parent.name != "base"
}
COMPONENTS = sorted(path.parent.name for path in MANIFESTS.glob("components/*/kustomization.yaml"))
PROGRAMS = {"reeve-control": "src/reeved/reeved", "reeve-agent": "src/agent/reeve-agent"}
KINDS_OF_PODS = ("Deployment", "DaemonSet", "StatefulSet", "Job")


def build(kubectl, folder):
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


@pytest.fixture(params=INSTALLATIONS)
def objects(request, kubectl):
    return [one for folder in INSTALLATIONS[request.param] for one in build(kubectl, MANIFESTS / folder)]


def of_kind(objects, *kinds):
    return [one for one in objects if one["kind"] in kinds]


def names(objects, kind):
    return {(one["metadata"].get("namespace"), one["metadata"]["name"]) for one in of_kind(objects, kind)}


def pods(objects):
    """Namespace, labels and specification of every pod that is made."""
    for one in of_kind(objects, *KINDS_OF_PODS):
        template = one["spec"]["template"]
        yield one["metadata"]["namespace"], template["metadata"].get("labels", {}), template["spec"]


def containers(objects):
    for namespace, _, spec in pods(objects):
        for container in spec["containers"] + spec.get("initContainers", []):
            yield namespace, spec, container


def version():
    return re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text())[1]


def test_every_component_can_be_put_on_the_base(kubectl, tmp_path):
    for name in COMPONENTS:
        (tmp_path / "kustomization.yaml").write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "kustomize.config.k8s.io/v1beta1",
                    "kind": "Kustomization",
                    "resources": [os.path.relpath(MANIFESTS / "base", tmp_path)],
                    "components": [os.path.relpath(MANIFESTS / "components" / name, tmp_path)],
                }
            )
        )
        assert build(kubectl, tmp_path), name


def test_whatever_a_pod_names_is_there(objects):
    claims, maps, accounts = (names(objects, kind) for kind in ("PersistentVolumeClaim", "ConfigMap", "ServiceAccount"))
    for namespace, _, spec in pods(objects):
        if "serviceAccountName" in spec:
            assert (namespace, spec["serviceAccountName"]) in accounts
        for volume in spec.get("volumes", []):
            if "persistentVolumeClaim" in volume:
                assert (namespace, volume["persistentVolumeClaim"]["claimName"]) in claims
            if "configMap" in volume:
                assert (namespace, volume["configMap"]["name"]) in maps
        mounted = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= mounted


def test_services_lead_to_ports_of_pods(objects):
    for service in of_kind(objects, "Service"):
        wanted = service["spec"]["selector"].items()
        found = [spec for _, labels, spec in pods(objects) if wanted <= labels.items()]
        assert len(found) == 1, service["metadata"]["name"]
        ports = {port["name"] for container in found[0]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_roles_are_bound_to_accounts_that_are_there(objects):
    accounts = names(objects, "ServiceAccount")
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        for subject in binding["subjects"]:
            assert (subject["namespace"], subject["name"]) in accounts
        role = binding["roleRef"]
        namespace = binding["metadata"].get("namespace") if role["kind"] == "Role" else None
        assert (namespace, role["name"]) in names(objects, role["kind"])


def test_no_role_gives_everything_or_secrets(objects):
    for role in of_kind(objects, "Role", "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert not {"secrets", "pods/exec", "nodes/proxy"} & set(rule["resources"])
            changes = set(rule["verbs"]) - {"get", "list", "watch"}
            wide = role["kind"] == "ClusterRole" and changes
            assert not wide or rule["resources"] in (["tokenreviews"],) or ours(rule), rule


def ours(rule):
    """Kinds of our own, and what people are told about them, may be changed in every namespace."""
    return all(group in ("reeve.gpu", "gpu.k8s.io", "events.k8s.io") for group in rule["apiGroups"])


def test_names_in_roles_are_left_as_they_are(objects):
    """kustomize puts a generated ConfigMap's name wherever it takes a word for its name."""
    for role in of_kind(objects, "ClusterRole"):
        for rule in role["rules"]:
            if rule["resources"] == ["namespaces"] and "resourceNames" in rule:
                assert set(rule["resourceNames"]) <= {"kube-system"} | {name for _, name in names(objects, "Namespace")}


def test_agents_and_jobs_may_do_nothing_at_the_api_server(objects):
    bound = {
        (subject["namespace"], subject["name"])
        for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding")
        for subject in binding["subjects"]
    }
    assert not bound & {("reeve", "reeve-agent"), ("reeve-jobs", "reeve-job"), ("reeve", "default")}


def test_containers_have_as_few_powers_as_they_can(objects):
    for _, spec, container in containers(objects):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], container["name"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"]["drop"] == ["ALL"] and "add" not in security["capabilities"]
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert not spec.get("hostNetwork")
        assert spec["enableServiceLinks"] is False, "REEVE_PORT of a Service would be taken for an option"
        if container["name"] != "agent":
            assert spec["securityContext"]["runAsNonRoot"]
            assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]


def test_images_have_the_version_of_the_programs(objects):
    for _, _, container in containers(objects):
        if "reeve" in container["image"]:
            assert container["image"].endswith(f":{version()}"), container["image"]


def known_options(build, image):
    said = subprocess.run([build / PROGRAMS[image], "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--(?:\[no-\])?([a-z][a-z-]*)", said))


def test_programs_know_the_options_that_they_are_given(objects, build):
    for _, _, container in containers(objects):
        image = container["image"].split("/")[-1].split(":")[0]
        if image not in PROGRAMS:
            continue
        known = known_options(build, image)
        given = {arg.removeprefix("--").split("=")[0] for arg in container["args"]}
        given |= {
            env["name"].removeprefix("REEVE_").lower().replace("_", "-")
            for env in container.get("env", [])
            if env["name"].startswith("REEVE_") and not env["name"].startswith("REEVE_SIM_")
        }
        assert given <= known, f"{image} does not know {given - known}"


def test_the_page_the_agents_and_the_names_agree(objects):
    """Whoever is called by a Service's name must answer to it, and its certificate must say it."""
    answers = {}
    for _, _, container in containers(objects):
        hosts = {arg.split("=", 1)[1] for arg in container.get("args", []) if arg.startswith("--host=")}
        answers[container["name"]] = hosts
    for service in of_kind(objects, "Service"):
        name, component = service["metadata"]["name"], service["spec"]["selector"]["app.kubernetes.io/component"]
        container = {"control-plane": "reeved", "agent": "agent"}.get(component)
        if container:
            assert {name, f"{name}.reeve", f"{name}.reeve.svc"} <= answers[container]
