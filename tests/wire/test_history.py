"""A history that was recorded: listed, compared, and served to the real kubectl as it was."""
import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import EXAMPLES, KUBECTL, PATIENCE_S, Cluster, daemonset


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """A cluster that was recorded: agent:1 rolled out, then agent:2, then deleted; two revisions on the way."""
    folder = tmp_path_factory.mktemp("past")
    cluster = Cluster(folder / "data", "--nodes", 2, "--pull", "0s", "--start", "0s", "--ready", "0s", "--stop", "0s",
                      "--seed", 5, "--record", folder / "recording")
    cluster.up()
    revisions = []
    for image in ("agent:1", "agent:2"):
        cluster.kubectl("apply", "-f", "-", given=daemonset(image=image))
        cluster.kubectl("rollout", "status", "ds/agent", "--timeout=50s")
        cluster.kubectl("wait", "pod", "-l", "app=agent", "--for=condition=Ready")
        revisions.append(int(cluster.kubectl("get", "--raw", "/api/v1/pods").json["metadata"]["resourceVersion"]))
    cluster.kubectl("delete", "ds", "agent")
    cluster.down()
    return cluster, folder / "recording", revisions


def muster(*arguments, fails=False):
    done = subprocess.run([sys.executable, "-m", "muster", *map(str, arguments)], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)
    assert (done.returncode != 0) == fails, f"{arguments}: {done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Served:
    """`muster history serve` as long as the block lasts, and a kubectl that talks to it."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-m", "muster", "history", "serve", *map(str, self.arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()
        self.environment = {**os.environ, "KUBECONFIG": self.said.strip().rpartition("KUBECONFIG=")[2], "EDITOR": "true"}
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0 and said == ""
        assert not os.path.exists(self.environment["KUBECONFIG"])

    def kubectl(self, *arguments, given=None, fails=False):
        done = subprocess.run([KUBECTL, *arguments], input=given, capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False, env=self.environment)
        assert (done.returncode != 0) == fails, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done


def images(served):
    pods = json.loads(served.kubectl("get", "pods", "-o", "json").stdout)["items"]
    return [pod["spec"]["containers"][0]["image"] for pod in pods]


def test_each_moment_is_served_as_it_was(past):
    _, recording, (first, second) = past
    for at, expected in ((first, ["agent:1"] * 2), (second, ["agent:2"] * 2), ("last", [])):
        with Served(recording, "--at", at) as served:
            assert images(served) == expected


def test_a_data_directory_is_served_the_same(past):
    cluster, recording, (first, _) = past
    with Served("--data-dir", cluster.data_dir, "--at", first) as served:
        assert served.said.startswith(f"the cluster at revision {first} (")
        assert images(served) == ["agent:1"] * 2
        from_data = served.kubectl("get", "all,nodes,events", "-A", "-o", "json").stdout
    with Served(recording, "--at", first) as served:
        assert served.kubectl("get", "all,nodes,events", "-A", "-o", "json").stdout == from_data
    assert muster("history", "sha", "--data-dir", cluster.data_dir).stdout.split()[0] == \
        muster("history", "sha", recording).stdout.split()[0]


def test_reading_works_and_changing_is_refused(past):
    _, recording, (first, _) = past
    with Served(recording, "--at", first) as served:
        assert "Created pod: agent-" in served.kubectl("describe", "ds", "agent").stdout
        assert served.kubectl("auth", "can-i", "get", "pods").stdout == "yes\n"
        assert served.kubectl("get", "nodes").stdout.count(" Ready ") == 2
        assert "successfully rolled out" in served.kubectl("rollout", "status", "ds/agent").stdout
        assert "agent" in served.kubectl("rollout", "history", "ds/agent").stdout
        past_words = f"this is the past, read-only: the cluster at revision {first} ("
        for words in (("delete", "pods", "--all"), ("create", "ns", "x"), ("label", "node", "--all", "a=b"),
                      ("set", "image", "ds/agent", "main=agent:3"), ("apply", "-f", str(EXAMPLES / "filebeat-ds.yaml")),
                      ("delete", "ds", "agent", "--dry-run=server")):
            refused = served.kubectl(*words, fails=True).stderr
            assert past_words in refused, words
        assert "keeps no logs" in served.kubectl("logs", "ds/agent", fails=True).stderr
        assert images(served) == ["agent:1"] * 2


def test_a_watch_stays_open_and_tells_nothing(past):
    _, recording, (first, _) = past
    with Served(recording, "--at", first) as served:
        watching = subprocess.Popen([KUBECTL, "get", "pods", "-w", "-o", "name"], stdout=subprocess.PIPE, text=True,
                                    env=served.environment)
        try:
            assert [watching.stdout.readline()[:10] for _ in range(2)] == ["pod/agent-"] * 2
            served.kubectl("get", "pods")
            assert watching.poll() is None
        finally:
            watching.kill()
            rest, _ = watching.communicate()
        assert rest == ""


def test_changes_are_listed_and_compared(past):
    cluster, recording, (first, second) = past
    rows = muster("history", "list", recording, "--kind", "po", "-n", "default", "--since", first + 1, "--until", second).stdout
    assert rows.splitlines()[0].split() == ["REVISION", "TIME", "VERB", "NAMESPACE", "OBJECT", "CHANGES"]
    verbs = [line.split()[2] for line in rows.splitlines()[1:]]
    assert verbs.count("created") == verbs.count("deleted") == 2 and "status.phase: Pending -> Running" in rows
    lines = [json.loads(line) for line in muster("history", "list", recording, "--kind", "DaemonSet", "-o", "json").stdout.splitlines()]
    assert [line["verb"] for line in lines][0::len(lines) - 1] == ["created", "deleted"]
    assert {"path": "spec.template.spec.containers[main].image", "before": "agent:1", "after": "agent:2"} in [
        one for line in lines for one in line.get("changes", ())]
    told = muster("history", "diff", first, second, recording, "--kind", "ds", "--name", "ag*").stdout
    assert f"--- default/daemonsets.apps/agent at {first} (" in told
    assert [line[0] + line.partition("image: ")[2] for line in told.splitlines() if "image: " in line] == [
        "-agent:1", "+agent:2"]
    assert f"revisions {first} and {first}" in muster("history", "diff", first, first, recording).stdout
    assert "is whole: revisions 1 to" in muster("history", "verify", recording).stdout


@pytest.mark.parametrize("arguments, says", [
    pytest.param(("list", "{nothing}"), "can not be read: No such file or directory", id="no file"),
    pytest.param(("list", "--data-dir", "{nothing}"), "there is no cluster in", id="no cluster"),
    pytest.param(("sha", "{manifest}"), "is no recording of Muster", id="foreign file"),
    pytest.param(("serve", "{recording}", "--at", "99999"), "revision 99999 is not in", id="revision"),
    pytest.param(("diff", "1", "2031-01-01T00:00:00Z", "{recording}"), "which holds revisions 1 to", id="time"),
    pytest.param(("list", "{recording}", "--since", "+90d"), "+90d is not in", id="since"),
    pytest.param(("serve", "{recording}", "--at", "soon"), "an instant is a revision (812), a time", id="instant"),
    pytest.param(("list", "{recording}", "-o", "xml"), "-o xml: use table or json", id="output"),
    pytest.param(("verify", "{torn}"), "was cut off: what can be read are", id="torn"),
])
def test_what_can_not_be_is_told_in_one_sentence(past, tmp_path, arguments, says):
    _, recording, _ = past
    torn = tmp_path / "torn"
    torn.write_bytes(recording.read_bytes()[:-20])
    words = {"nothing": tmp_path / "nothing", "manifest": EXAMPLES / "filebeat-ds.yaml", "recording": recording, "torn": torn}
    done = muster("history", *(word.format(**words) for word in arguments), fails=True)
    assert says in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""


def test_a_torn_recording_is_listed_as_far_as_it_goes(past, tmp_path):
    _, recording, (first, _) = past
    torn = tmp_path / "torn"
    torn.write_bytes(recording.read_bytes()[:-20])
    done = muster("history", "list", torn)
    assert done.stderr == f"muster: {torn} was cut off: what came last is missing\n"
    assert len(done.stdout.splitlines()) > 10


def test_a_server_that_was_killed_leaves_a_recording_and_goes_on_in_it(tmp_path):
    cluster = Cluster(tmp_path / "data", "--nodes", 1, "--record", tmp_path / "recording")
    cluster.up()
    cluster.kubectl("create", "ns", "before")
    pid = json.loads((cluster.data_dir / "server.json").read_text())["pid"]
    before = (tmp_path / "recording").stat().st_size
    cluster.kubectl("get", "nodes", "-w", "--watch-only", "--request-timeout=2s")  # longer than it takes to write it down
    assert (tmp_path / "recording").stat().st_size > before
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}/exe"):
        pass
    cluster.up()
    cluster.kubectl("create", "ns", "after")
    cluster.down()
    rows = muster("history", "list", tmp_path / "recording", "--kind", "ns").stdout
    assert "namespaces/before" in rows and "namespaces/after" in rows
    muster("history", "verify", tmp_path / "recording")
    refused = muster("up", "--data-dir", tmp_path / "other", "--record", tmp_path / "recording", "--nodes", 1, fails=True)
    assert "is the recording of another cluster: name a new file to record to" in refused.stderr
