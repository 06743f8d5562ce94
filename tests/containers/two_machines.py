"""Two machines on one: network namespaces with a wire between them, and nothing else."""
import json
import shlex
import subprocess
from pathlib import Path

from real_nodes import Nodes


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Wire:
    """192.0.2.1 and 192.0.2.2 (documentation addresses: they are nowhere else)."""

    def __init__(self, mark):
        self.names = [f"mt{mark}-{end}" for end in "ab"]
        self.addresses = ["192.0.2.1", "192.0.2.2"]

    def __enter__(self):
        for name in self.names:
            _ip("netns", "add", name)
        _ip("link", "add", "wire", "netns", self.names[0], "type", "veth", "peer", "name", "wire", "netns", self.names[1])
        for name, address in zip(self.names, self.addresses, strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
            for link in ("lo", "wire"):
                _ip("-n", name, "link", "set", link, "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def routes(self, end):
        listed = subprocess.run(["ip", "-n", self.names[end], "-json", "route"], capture_output=True, check=True).stdout
        return sorted(route["dst"] for route in json.loads(listed))


class Machine(Nodes):
    """One end of the wire, and what runs there."""

    def __init__(self, wire, end, data_dir, *arguments):
        super().__init__(data_dir, *arguments)
        self.within = ("nsenter", f"--net=/run/netns/{wire.names[end]}")
        self.address = wire.addresses[end]

    def token(self, *more):
        """The words of the command that a machine joins with."""
        return shlex.split(self.muster("node", "token", *more))[3:]

    def join(self, *words, **more):
        return self.muster("node", "join", *words, *self.arguments, "--detach", **more)

    def left(self):
        """What `muster node leave` would have to take away."""
        return self.leftovers() if Path(self.data_dir / "nodes.json").exists() else []
