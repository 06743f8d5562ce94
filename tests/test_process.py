"""The process: what a real server (TLS, SQLite, a process of its own) does when it is ended, killed and started again."""
from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import ssl
import stat
import subprocess
import sys

import pytest

from muster.api.objects import Key, at, name_of
from muster.client.kubeconfig import read_kubeconfig
from muster.client.remote import RemoteClient
from muster.data_directory import DataDirectory, started

AT_ONCE = [word for delay in ("--pull", "--start", "--ready", "--stop") for word in (delay, "0s")]
AGENT = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default"},
         "spec": {"selector": {"matchLabels": {"app": "agent"}},
                  "template": {"metadata": {"labels": {"app": "agent"}},
                               "spec": {"containers": [{"name": "c", "image": "agent:1"}]}}}}
PATIENCE_S = 20


def start(data_dir, *more):
    process = subprocess.Popen([sys.executable, "-m", "muster", "up", "--data-dir", str(data_dir), *AT_ONCE, *more],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "muster is ready" in process.stdout.readline(), process.stderr.read()
    return process


@pytest.fixture
def server(tmp_path):
    """`start(...)` on a folder of its own; what was started is gone afterwards."""
    processes = []

    def begin(*more):
        processes.append(start(tmp_path, *more))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


async def until_ready(client, number):
    async with asyncio.timeout(PATIENCE_S):
        while True:
            listing = await client.list("pods")
            if sum(at(pod, "status.phase") == "Running" for pod in listing.items) == number:
                return {name_of(pod): pod for pod in listing.items}
            await asyncio.sleep(0.02)


def talk(data_dir, story):
    async def main():
        client = RemoteClient(read_kubeconfig(data_dir / "kubeconfig"))
        try:
            return await story(client)
        finally:
            await client.close()

    return asyncio.run(main())


def test_pods_of_a_killed_server_run_on_as_they_were(server, tmp_path):
    process = server("--nodes", "3")

    async def begin(client):
        await client.create(AGENT)
        return await until_ready(client, 3)

    before = talk(tmp_path, begin)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    server()
    after = talk(tmp_path, lambda client: until_ready(client, 3))
    for name, pod in before.items():
        assert after[name]["metadata"]["uid"] == pod["metadata"]["uid"]
        assert after[name]["status"]["podIP"] == pod["status"]["podIP"]
        assert [one["restartCount"] for one in after[name]["status"]["containerStatuses"]] == [0]


def test_a_pod_deleted_by_force_leaves_the_server_answering(server, tmp_path):
    server("--nodes", "2")

    async def story(client):
        await client.create(AGENT)
        pods = await until_ready(client, 2)
        for name in pods:
            await client.delete(Key("pods", "default", name), grace_period_s=0)
        after = await until_ready(client, 2)
        assert not after.keys() & pods.keys()

    talk(tmp_path, story)


def test_a_server_that_is_told_to_end_ends_its_watches_and_itself(server, tmp_path):
    process = server("--nodes", "1")
    pki, port = tmp_path / "pki", DataDirectory(tmp_path).last_port()
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    watching = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)
    watching.request("GET", "/api/v1/nodes?watch=1")
    answer = watching.getresponse()
    assert json.loads(answer.readline())["type"] == "ADDED"
    process.send_signal(signal.SIGTERM)
    answer.read()  # to the end of the stream; a stream cut off in the midst of a chunk would raise
    watching.close()
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and said == ""
    assert DataDirectory(tmp_path).running() is None


def test_a_seed_gives_the_same_nodes(tmp_path):
    seen = []
    for number in (1, 2):
        process = start(tmp_path / str(number), "--store", "memory", "--seed", "7", "--nodes", "3")
        try:
            listing = talk(tmp_path / str(number), lambda client: client.list("nodes"))
            seen.append([(name_of(node), node["metadata"]["uid"]) for node in listing.items])
        finally:
            process.kill()
            process.communicate()
    assert len(seen[0]) == 3 and seen[0] == seen[1]


def test_what_it_writes_is_its_owners_alone(server, tmp_path):
    server("--nodes", "0")
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    public = {name for name, mode in modes.items() if mode & 0o077}
    assert {"kubeconfig", "muster.db", "server.json", "pki/ca.key"} <= modes.keys()
    assert all(name.endswith((".crt", ".pub")) for name in public), public


def test_a_process_that_got_the_number_of_a_killed_server_is_no_server(tmp_path):
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        folder = DataDirectory(tmp_path)
        said = {"pid": stranger.pid, "started": started(stranger.pid), "url": "https://127.0.0.1:1", "port": 1}
        (tmp_path / "server.json").write_text(json.dumps(said))
        assert folder.running() is not None
        (tmp_path / "server.json").write_text(json.dumps({**said, "started": started(os.getpid())}))
        assert folder.running() is None
        subprocess.run([sys.executable, "-m", "muster", "down", "--data-dir", str(tmp_path)], check=True,
                       stdout=subprocess.DEVNULL)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
