"""Pods as real processes: what they are told, what they may, how they end, and what kubectl shows of it."""
import json
import subprocess

import pytest
from real_nodes import WAITS, pod, shell


def state_of(seen, name="app"):
    status = seen["status"]
    return next(one for field in ("containerStatuses", "initContainerStatuses") for one in status.get(field, ())
                if one["name"] == name)


class TestRuns:
    def test_it_is_told_where_it_is(self, space):
        env = [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
               {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
               {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
               {"name": "BOTH", "value": "$(NODE)/$(ADDRESS) $$(NODE) $(NONE)"}]
        one = shell("echo $NODE $ADDRESS $CPU; echo \"$BOTH\"; hostname; grep web /etc/hosts", env=env,
                    resources={"limits": {"cpu": "250m", "memory": "32Mi"}})
        space.apply(pod("web", one, restartPolicy="Never"))
        seen = space.ended("web")
        address, node = seen["status"]["podIP"], seen["spec"]["nodeName"]
        assert space.logs("web").splitlines() == [
            f"{node} {address} 250", f"{node}/{address} $(NODE) $(NONE)", "web", f"{address}\tweb"]
        assert seen["status"]["hostIP"] != address
        assert space.events("web")[-3:] == [
            'Normal Pulled Container image "busybox" already present on machine', "Normal Created Created container: app",
            "Normal Started Started container app"]

    @pytest.mark.parametrize("script, code, reason, message", [
        pytest.param("exit 0", 0, "Completed", None, id="completed"),
        pytest.param("echo why > /dev/termination-log; exit 3", 3, "Error", "why\n", id="with last words"),
        pytest.param("sh -c 'kill -9 $$$$'; exit $?", 137, "Error", None, id="killed"),
        pytest.param("tail /dev/zero", 137, "OOMKilled", None, id="out of memory"),
    ])
    def test_how_it_ends(self, space, script, code, reason, message):
        one = shell(script, resources={"limits": {"memory": "24Mi"}})
        space.apply(pod("web", one, restartPolicy="Never"))
        ended = state_of(space.ended("web"))["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended.get("message")) == (code, reason, message)
        assert ended["containerID"].startswith("containerd://")

    def test_a_command_that_is_not_there(self, space):
        space.apply(pod("web", {"name": "app", "image": "busybox", "imagePullPolicy": "Never", "command": ["/nowhere"]},
                        restartPolicy="Never"))
        ended = state_of(space.ended("web"))["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
        assert "no such file or directory" in ended["message"]

    def test_it_crashes_again_and_again(self, space):
        space.apply(pod("web", shell("echo run; exit 1")))
        seen = space.until("web", lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("restartCount") == 1
                           and "waiting" in state_of(pod)["state"])
        waiting = state_of(seen)["state"]["waiting"]
        uid = seen["metadata"]["uid"]
        assert waiting["reason"] == "CrashLoopBackOff"
        assert waiting["message"] == f"back-off 10s restarting failed container=app pod=web_{space.name}({uid})"
        assert space.logs("web") == "run\n" == space.logs("web", "--previous")

    def test_init_containers_and_sidecars_in_order(self, space):
        log = [{"name": "shared", "mountPath": "/shared"}]
        space.apply(pod(
            "web", shell("echo app >> /shared/log; cat /shared/log", volumeMounts=log), restartPolicy="Never",
            initContainers=[shell("echo one >> /shared/log", "one", volumeMounts=log),
                            shell(f"echo side >> /shared/log; {WAITS}", "side", restartPolicy="Always", volumeMounts=log),
                            shell("sleep 0.3; echo two >> /shared/log", "two", volumeMounts=log)],
            volumes=[{"name": "shared", "emptyDir": {}}]))
        seen = space.ended("web")
        assert space.logs("web", "-c", "app").split() == ["one", "side", "two", "app"]
        assert seen["status"]["phase"] == "Succeeded"
        assert state_of(seen, "side")["state"]["terminated"]["exitCode"] == 0

    def test_it_gets_its_grace(self, space):
        space.apply(pod("soft", shell("trap 'sleep 0.5; echo done; exit 0' TERM; echo up; while :; do sleep 0.1; done"),
                        terminationGracePeriodSeconds=10), pod("hard", shell("trap '' TERM; while :; do sleep 1; done")))
        space.ready("soft")
        space.ready("hard")
        follow = space.start("logs", "-f", "soft")
        assert follow.stdout.readline() == "up\n"
        space.kubectl("delete", "pod", "soft", "hard")
        assert follow.communicate(timeout=10)[0] == "done\n"


class TestImages:
    @pytest.mark.parametrize("policy, image, reason", [
        pytest.param("Never", "nowhere.invalid/app:1", "ErrImageNeverPull", id="never"),
        pytest.param("IfNotPresent", "localhost:1/app:1", "ImagePullBackOff", id="no registry"),
        pytest.param("IfNotPresent", "UPPER", "InvalidImageName", id="no name"),
    ])
    def test_what_can_not_be_had(self, space, policy, image, reason):
        space.apply(pod("web", {"name": "app", "image": image, "imagePullPolicy": policy}))
        space.until("web", lambda pod: state_of(pod)["state"]["waiting"]["reason"] == reason if
                    pod["status"].get("containerStatuses") else False)


class TestVolumes:
    def test_of_objects(self, space):
        space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
                     "data": {"a": "1", "b": "2"}},
                    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": "hidden"}})
        files = [{"configMap": {"name": "settings", "items": [{"key": "a", "path": "deep/a"}]}},
                 {"secret": {"name": "key"}},
                 {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.name"}}]}}]
        one = shell("cd /all; cat deep/a k labels; echo; cat /one; env | grep -c FROM_; touch /all/no 2>&1; "
                    "while [ $(cat /live/b) = 2 ]; do sleep 0.1; done; cat /live/b",
                    envFrom=[{"prefix": "FROM_", "configMapRef": {"name": "settings"}}],
                    volumeMounts=[{"name": "all", "mountPath": "/all"}, {"name": "live", "mountPath": "/live"},
                                  {"name": "live", "mountPath": "/one", "subPath": "a"}])
        space.apply(pod("web", one, restartPolicy="Never", volumes=[
            {"name": "all", "projected": {"sources": files}}, {"name": "live", "configMap": {"name": "settings"}}]))
        space.ready("web")
        space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
                     "data": {"a": "1", "b": "3"}})
        space.ended("web")
        assert space.logs("web").splitlines() == ["1hiddenweb", "12", "touch: /all/no: Read-only file system", "3"]

    @pytest.mark.long
    def test_of_the_pod_itself(self, space):
        """Labels and annotations are followed; one file of a volume (`subPath`) stays as it was."""
        told = {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                                          {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}}]}}
        space.apply(pod("web", shell(WAITS, volumeMounts=[{"name": "pod", "mountPath": "/pod"},
                                                          {"name": "pod", "mountPath": "/note", "subPath": "note"}]),
                        volumes=[{"name": "pod", "projected": {"sources": [told]}}]))
        space.ready("web")
        space.kubectl("label", "pod", "web", "tier=front")
        space.kubectl("annotate", "pod", "web", "note=new")
        space.kubectl("exec", "web", "--", "timeout", "20", "sh", "-c",
                      "until grep -q 'tier=\"front\"' /pod/labels && grep -q new /pod/note; do sleep 0.1; done")
        assert space.kubectl("exec", "web", "--", "cat", "/note") == ""

    def test_one_that_is_missing_comes_later(self, space):
        space.apply(pod("web", shell("cat /in/a", volumeMounts=[{"name": "in", "mountPath": "/in"}]),
                        restartPolicy="Never", volumes=[{"name": "in", "configMap": {"name": "late"}}]))
        space.until("web", lambda _: any("FailedMount" in line for line in space.events("web")))
        space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"a": "here"}})
        space.ended("web")
        assert space.logs("web") == "here"

    def test_a_setting_that_is_missing(self, space):
        env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]
        space.apply(pod("web", shell("true", env=env)))
        seen = space.until("web", lambda pod: state_of(pod)["state"].get("waiting", {}).get("reason") ==
                           "CreateContainerConfigError" if pod["status"].get("containerStatuses") else False)
        assert state_of(seen)["state"]["waiting"]["message"] == 'configmap "none" not found'


class TestRights:
    @pytest.mark.parametrize("of_pod, of_container, script, said", [
        pytest.param({"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]}, {},
                     "id -u; id -g; id -G", "1000 3000 3000 2000 4000", id="user and groups"),
        pytest.param({}, {"readOnlyRootFilesystem": True}, "touch /x 2>&1", "touch: /x: Read-only file system", id="read-only root"),
        pytest.param({}, {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}},
                     "grep CapEff /proc/self/status", "CapEff: 0000000000002000", id="capabilities"),
        pytest.param({}, {"allowPrivilegeEscalation": False}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs: 1", id="no new privileges"),
        pytest.param({"seccompProfile": {"type": "RuntimeDefault"}}, {}, "grep Seccomp: /proc/self/status", "Seccomp: 2", id="seccomp"),
        pytest.param({}, {"privileged": True}, "test -e /dev/kmsg && grep CapEff /proc/self/status | cut -c 9-14", "000001", id="privileged"),
    ])
    def test_security_context(self, space, of_pod, of_container, script, said):
        space.apply(pod("web", shell(script, securityContext=of_container), securityContext=of_pod, restartPolicy="Never"))
        space.ended("web")
        assert space.logs("web").split() == said.split()

    def test_root_is_refused(self, space):
        space.apply(pod("web", shell("true", securityContext={"runAsNonRoot": True})))
        seen = space.until("web", lambda pod: state_of(pod)["state"].get("waiting", {}).get("reason") ==
                           "CreateContainerConfigError" if pod["status"].get("containerStatuses") else False)
        assert "container has runAsNonRoot and image will run as root" in state_of(seen)["state"]["waiting"]["message"]

    def test_the_node_itself(self, space):
        space.apply(pod("web", shell("ip -4 -o addr show eth0; ps | grep -c '[/]pause'"), hostNetwork=True, hostPID=True,
                        restartPolicy="Never"))
        status = space.ended("web")["status"]
        address, pauses = space.logs("web").splitlines()
        assert status["podIP"] == status["hostIP"] in address
        assert int(pauses) > 0, "processes of the machine are seen"


class TestHealth:
    @pytest.mark.long
    def test_probes(self, space):
        one = shell("sleep 0.5; touch /started; sleep 1; touch /ready; sleep 1.5; touch /sick; sleep 60",
                    startupProbe={"exec": {"command": ["test", "-e", "/started"]}, "periodSeconds": 1},
                    readinessProbe={"exec": {"command": ["test", "-e", "/ready"]}, "periodSeconds": 1},
                    livenessProbe={"exec": {"command": ["test", "!", "-e", "/sick"]}, "periodSeconds": 1, "failureThreshold": 1})
        space.apply(pod("web", one))
        space.ready("web")
        seen = space.until("web", lambda pod: state_of(pod)["restartCount"] == 1)
        assert state_of(seen)["lastState"]["terminated"]["exitCode"] == 137
        assert "Normal Killing Container app failed liveness probe, will be restarted" in space.events("web")

    @pytest.mark.long
    def test_questions_over_the_network(self, space):
        server = shell("echo ok > /tmp/index.html; httpd -f -p 8080 -h /tmp", ports=[{"name": "http", "containerPort": 8080}],
                       readinessProbe={"httpGet": {"path": "/index.html", "port": "http"}, "periodSeconds": 1},
                       livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
        space.apply(pod("web", server), pod("bad", shell("httpd -f -p 8080 -h /tmp", readinessProbe={
            "httpGet": {"path": "/none", "port": 8080}, "periodSeconds": 1})))
        space.ready("web")
        space.until("bad", lambda _: "Warning Unhealthy Readiness probe failed: HTTP probe failed with statuscode: 404"
                    in space.events("bad"))

    def test_hooks(self, space):
        mount = [{"name": "shared", "mountPath": "/shared"}]
        one = shell(f"{WAITS}", volumeMounts=mount, lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo begun > /shared/log"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo ends >> /shared/log"]}}})
        reader = shell("trap 'sleep 1; cat /shared/log; exit 0' TERM; while :; do sleep 0.1; done", "reader", volumeMounts=mount)
        space.apply(pod("web", one, reader, terminationGracePeriodSeconds=5, volumes=[{"name": "shared", "emptyDir": {}}]))
        space.ready("web")
        follow = space.start("logs", "-f", "web", "-c", "reader")
        space.kubectl("delete", "pod", "web")
        assert follow.communicate(timeout=10)[0].split() == ["begun", "ends"]


def test_pods_reach_each_other(space):
    """Across nodes, with their own addresses."""
    seen = json.loads(space.kubectl("get", "nodes", "-o", "json"))
    one, two = (node["metadata"]["name"] for node in seen["items"])
    space.apply(pod("server", shell("echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp"), nodeName=one))
    address = space.until("server", lambda pod: pod["status"].get("podIP"))["status"]["podIP"]
    space.apply(pod("client", shell(f"until wget -q -O - http://{address}/index.html; do sleep 0.1; done"),
                    nodeName=two, restartPolicy="Never"))
    space.ended("client")
    assert "hello" in space.logs("client")


def test_a_port_of_the_node(space):
    """`hostPort`, from another node; it is free again when its pod has gone."""
    seen = json.loads(space.kubectl("get", "nodes", "-o", "json"))
    one, two = (node["metadata"]["name"] for node in seen["items"])
    address = seen["items"][0]["status"]["addresses"][0]["address"]
    space.apply(pod("asks", shell(WAITS), nodeName=two))
    for name in ("first", "second"):
        space.apply(pod(name, shell(f"echo {name} > /tmp/index.html; httpd -f -p 80 -h /tmp", ports=[
            {"containerPort": 80, "hostPort": 18080}]), nodeName=one))
        space.ready(name)
        space.ready("asks")
        ask = f"until wget -q -O- http://{address}:18080/; do sleep 0.1; done"
        assert space.kubectl("exec", "asks", "--", "timeout", "20", "sh", "-c", ask) == f"{name}\n"
        space.kubectl("delete", "pod", name, "--wait=true")


def test_what_is_mounted_later_is_seen_where_it_is_asked_for(space, tmp_path):
    def mount(*words):
        subprocess.run(["mount", *map(str, words)], check=True, capture_output=True)

    shared = tmp_path / "shared"
    (shared / "later").mkdir(parents=True)
    mount("--bind", shared, shared)
    mount("--make-private", shared)
    mount("--make-shared", shared)
    try:
        places = [{"name": "shared", "mountPath": "/follows", "mountPropagation": "HostToContainer"},
                  {"name": "shared", "mountPath": "/stays"}]
        space.apply(pod("web", shell(WAITS, volumeMounts=places),
                        volumes=[{"name": "shared", "hostPath": {"path": str(shared)}}]))
        space.ready("web")
        mount("-t", "tmpfs", "tmpfs", shared / "later")
        (shared / "later" / "file").touch()
        assert space.kubectl("exec", "web", "--", "ls", "/follows/later", "/stays/later") == \
            "/follows/later:\nfile\n\n/stays/later:\n"
        space.kubectl("delete", "pod", "web")
    finally:
        subprocess.run(["umount", "-R", str(shared)], check=True)
