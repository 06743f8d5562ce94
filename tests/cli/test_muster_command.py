"""The `muster` command as a user types it: a process, its words and its exit code; no kubectl needed."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from muster.api.errors import BadRequest
from muster.cli import up
from rows import rows

SOURCE = Path(__file__).parents[2] / "src"
QUICK = ("--pull", "0s", "--start", "0s", "--ready", "0s", "--stop", "0s")
FILEBEAT = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: filebeat-ds, namespace: kube-system}
spec:
  selector: {matchLabels: {name: filebeat}}
  template:
    metadata: {labels: {name: filebeat}}
    spec:
      containers: [{name: filebeat, image: "filebeat:7.9.1"}]
"""


def run(*arguments, home=None):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HOME": str(home or "/nonexistent"), "COLUMNS": "200"}
    environment.pop("MUSTER_DATA_DIR", None)
    return subprocess.run([sys.executable, "-m", "muster", *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, env=environment, check=False)


def said(*arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*arguments):
    """One sentence, on stderr, with exit code 1."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr and done.stderr.startswith("muster: ") and done.stderr.count("\n") == 1
    return done.stderr.removeprefix("muster: ").strip()


def table(text):
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a running cluster of three nodes, with a DaemonSet."""
    folder = tmp_path_factory.mktemp("muster")
    manifest = folder / "filebeat.yaml"
    manifest.write_text(FILEBEAT)
    said("up", "-d", "--nodes", 3, *QUICK, "-f", manifest, "--data-dir", folder / "data")
    yield folder / "data"
    said("down", "--data-dir", folder / "data")


MISUSED = [
    pytest.param(["up", "--nodes", "-1"], "'--nodes'", id="fewer nodes than none"),
    pytest.param(["up", "--nodes", "many"], "'--nodes'", id="not a number"),
    pytest.param(["up", "--colour", "red"], "--colour", id="unknown option"),
    pytest.param(["upp"], "'upp'", id="unknown command"),
    pytest.param(["up", "--pool", "gpu"], "--pool gpu: begin with NAME=N", id="pool without number"),
    pytest.param(["up", "--pool", "gpu=1,disk=big"], "disk=big must be a number of GB", id="pool with a big disk"),
    pytest.param(["up", "--pool", "gpu=1,taint=x:Never"], "NoSchedule, PreferNoSchedule or NoExecute", id="bad taint"),
    pytest.param(["up", "--pool", "a=1", "--pool", "a=2"], "--pool a: named twice", id="pool named twice"),
    pytest.param(["up", "--pull", "soon"], "must be a duration", id="bad duration"),
    pytest.param(["up", "--store", "paper"], "--store paper", id="unknown store"),
    pytest.param(["up", "--runtime", "steam"], "--runtime steam", id="unknown runtime"),
    pytest.param(["up", "-f", "/nowhere.yaml"], "/nowhere.yaml: no such file", id="no such manifest"),
    pytest.param(["status"], "no cluster is running", id="status of nothing"),
    pytest.param(["kubeconfig"], "there is no cluster", id="kubeconfig of nothing"),
    pytest.param(["nodes", "list"], "no cluster is running", id="nodes of nothing"),
    pytest.param(["pool", "list"], "no cluster is running", id="pools of nothing"),
    pytest.param(["pool", "resize", "default-pool", "--nodes", "3"], "no cluster is running", id="resize nothing"),
    pytest.param(["pool", "resize", "default-pool"], "'--nodes'", id="resize to what"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISUSED)
def test_what_can_not_be_is_one_sentence(tmp_path, arguments, sentence):
    where = () if arguments == ["upp"] else ("--data-dir", tmp_path / "none")
    assert sentence in refused(*arguments, *where)
    assert not (tmp_path / "none" / "muster.db").exists()


def test_a_folder_that_can_not_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    assert "can not use" in refused("up", "--data-dir", tmp_path / "file")


CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


@pytest.mark.parametrize(("text", "sentence"), [
    pytest.param("kind: [", "wrong.yaml: error converting YAML to JSON", id="no YAML"),
    pytest.param(CONFIG + "---\nkind: ConfigMap\n", "wrong.yaml, line 5: apiVersion is not set", id="no apiVersion"),
    pytest.param(CONFIG + "---\napiVersion: v1\nkind: Unicorn\nmetadata: {name: a}\n",
                 'wrong.yaml, line 5: no matches for kind "Unicorn" in version "v1"', id="unknown kind"),
    pytest.param(CONFIG + "---\n" + CONFIG + "datum: {a: b}\n",
                 'wrong.yaml, line 5: ConfigMap in version "v1" cannot be handled as a ConfigMap: '
                 'strict decoding error: unknown field "datum"', id="unknown field"),
    pytest.param(CONFIG + "data: {a: 5}\n", "wrong.yaml, line 1: ConfigMap in version", id="another type"),
    pytest.param(CONFIG.replace("name: a", "name: a, namespace: b"), 'wrong.yaml, line 1: namespaces "b" not found',
                 id="no such namespace"),
])
def test_a_manifest_that_can_not_be_applied(tmp_path, text, sentence):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    try:
        assert sentence in refused("up", "-d", "--nodes", 0, "-f", wrong, "--data-dir", tmp_path / "data")
    finally:
        run("down", "--data-dir", tmp_path / "data")


def test_help_and_version():
    for arguments in (["--help"], ["up", "--help"], ["pool"], []):
        done = run(*arguments)
        assert done.returncode == 0 and "muster" in done.stdout.lower()
    assert re.fullmatch(r"muster .+, serving Kubernetes v1\.32\.\d+\S*\n", said("version"))


def test_status_and_kubeconfig(folder):
    told = dict(line.split(":", 1) for line in said("status", "--data-dir", folder).splitlines())
    assert re.fullmatch(r"running \(pid \d+\)", told["Server"].strip())
    assert told["URL"].strip().startswith("https://127.0.0.1:")
    assert told["Nodes"].strip() == "3 of 3 ready"
    kubeconfig = said("kubeconfig", "--data-dir", folder).strip()
    assert kubeconfig == str(folder / "kubeconfig") and os.stat(kubeconfig).st_mode & 0o077 == 0


def test_down_where_nothing_runs(tmp_path):
    assert said("down", "--data-dir", tmp_path) == f"no cluster is running on {tmp_path}\n"


def test_a_second_server_on_the_same_folder_is_refused(folder):
    assert re.search(r"a cluster is already running on .* \(pid \d+, https://.*\); stop it with `muster down`",
                     refused("up", "--data-dir", folder))
    assert "already running" in refused("up", "-d", "--nodes", 1, "--data-dir", folder)


@rows("197-198")
def test_nodes_and_pools_as_a_console_lists_them(folder):
    head, *nodes = table(said("nodes", "list", "--data-dir", folder))
    assert head == ["NAME", "ZONE", "MACHINE_TYPE", "PREEMPTIBLE", "INTERNAL_IP", "EXTERNAL_IP", "STATUS"]
    assert len(nodes) == 3 and {row[-1] for row in nodes} == {"RUNNING"}
    assert table(said("pool", "list", "--data-dir", folder)) == [
        ["NAME", "MACHINE_TYPE", "DISK_SIZE_GB", "NODE_VERSION"], ["default-pool", "e2-standard-4", "100", "v1.32.4"]]
    found = json.loads(said("nodes", "list", "-o", "json", "--data-dir", folder))
    assert sorted(one["metadata"]["name"] for one in found) == [row[0] for row in nodes]
    assert "kind: NodePool" in said("pool", "list", "-o", "yaml", "--data-dir", folder)
    assert refused("nodes", "list", "-o", "xml", "--data-dir", folder) == "-o xml: use table, json or yaml"


@rows(199)
def test_resizing_says_so_and_needs_a_pool(folder):
    assert said("pool", "resize", "default-pool", "--nodes", 3, "--data-dir", folder) \
        == "Pool [default-pool] for [muster] will be resized to 3.\n"
    assert refused("pool", "resize", "nobody", "--nodes", 3, "--data-dir", folder) \
        == "there is no pool 'nobody'; see `muster pool list`"


def test_what_a_cluster_holds_is_there_again_after_a_stop(tmp_path):
    (tmp_path / "filebeat.yaml").write_text(FILEBEAT)
    data = ("--data-dir", tmp_path / "data")
    first = said("up", "-d", "--nodes", 2, *QUICK, "-f", tmp_path / "filebeat.yaml", *data)
    assert re.fullmatch(r"muster is ready at https://127\.0\.0\.1:\d+ with kubeconfig (\S+): "
                        r"export KUBECONFIG=\1\n", first)
    try:
        nodes = said("nodes", "list", *data)
        assert re.fullmatch(r"stopped \(pid \d+\); start it again with `muster up --data-dir .*`\n", said("down", *data))
        assert "no cluster is running" in refused("status", *data)
        assert said("kubeconfig", *data).strip() == str(tmp_path / "data" / "kubeconfig"), "it stays where it is"
        assert said("up", "-d", *data) == first, "at the same address"
        assert said("nodes", "list", *data) == nodes
        told = said("status", *data)
        assert "2 of 2 ready" in told and "DaemonSets:" in told and re.search(r"DaemonSets: +1,", told)
    finally:
        said("down", *data)


@pytest.mark.parametrize("missing", ["grpc", "google.protobuf", "websockets"])
def test_real_nodes_need_all_of_their_extra(monkeypatch, missing):
    def find(module):
        if module == missing and "." in module:
            raise ModuleNotFoundError
        return None if module == missing else "there"

    monkeypatch.setattr(up, "find_spec", find)
    with pytest.raises(BadRequest, match=r"--runtime containers needs Muster's extra: pip install 'muster\[containers\]'"):
        up.check_extra()
