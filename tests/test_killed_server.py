"""Nothing that a server has acknowledged is lost, however it is killed.

A real server (TLS, SQLite) is killed with SIGKILL in the midst of writes over HTTP, several times on one data
directory; what was acknowledged with 201 or 200 must be there after the next start, and nothing else but writes
that were under way.
"""
import asyncio
import os
import random
import signal
import subprocess
import sys

from muster.api.errors import ApiError
from muster.api.objects import Key
from muster.client.kubeconfig import read_kubeconfig
from muster.client.remote import RemoteClient

ROUNDS, WRITERS = 5, 16


def start(data_dir):
    process = subprocess.Popen([sys.executable, "-m", "muster", "up", "--data-dir", str(data_dir), "--nodes", "2"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "muster is ready" in process.stdout.readline(), process.stderr.read()
    return process


class Writer:
    """Raises one ConfigMap's number, and remembers what was acknowledged and what was merely tried."""

    def __init__(self, name):
        self.key = Key("configmaps", "default", name)
        self.acknowledged, self.tried = 0, 0

    async def write(self, client):
        while True:
            self.tried = self.acknowledged + 1
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.key.name, "namespace": "default"},
                    "data": {"number": str(self.tried)}}
            if self.acknowledged == 0:
                await client.create(body)
            else:
                await client.patch(self.key, {"data": body["data"]})
            self.acknowledged = self.tried

    async def found(self, client):
        try:
            return int((await client.get(self.key))["data"]["number"])
        except ApiError:
            return 0


async def write_until_killed(data_dir, process, writers, after):
    client = RemoteClient(read_kubeconfig(data_dir / "kubeconfig"))
    asyncio.get_running_loop().call_later(after, os.kill, process.pid, signal.SIGKILL)
    await asyncio.gather(*(writer.write(client) for writer in writers), return_exceptions=True)
    await client.close()


async def check(data_dir, writers):
    client = RemoteClient(read_kubeconfig(data_dir / "kubeconfig"))
    for writer in writers:
        found = await writer.found(client)
        assert writer.acknowledged <= found <= writer.tried, f"{writer.key}: {writer.acknowledged} was acknowledged"
        writer.acknowledged = found
    await client.close()


def test_no_acknowledged_write_is_lost(tmp_path):
    chance = random.Random(7)
    writers = [Writer(f"c{number}") for number in range(WRITERS)]
    for _ in range(ROUNDS):
        process = start(tmp_path)
        asyncio.run(check(tmp_path, writers))
        asyncio.run(write_until_killed(tmp_path, process, writers, chance.uniform(0.05, 0.5)))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start(tmp_path)
    asyncio.run(check(tmp_path, writers))
    assert all(writer.acknowledged for writer in writers)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 0 and "Traceback" not in said
