"""Control groups in both versions, on folders that look like the kernel's."""
import asyncio

import pytest

from muster.node.cgroups import UNLIMITED, GroupUse, Limits, mounted, weight

V1 = """31 23 0:28 / {0} rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / {0}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / {0}/memory rw - cgroup cgroup rw,memory
39 31 0:36 / {0}/pids rw - cgroup cgroup rw,pids
40 31 0:37 / {0}/systemd rw - cgroup cgroup rw,name=systemd
41 31 0:38 / {0}/unified rw - cgroup2 cgroup2 rw
"""
V2 = "30 23 0:26 / {0} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def first(tmp_path):
    for name in ("cpu,cpuacct", "memory", "pids", "systemd", "unified"):
        (tmp_path / name).mkdir()
    return mounted(V1.format(tmp_path))


@pytest.fixture
def second(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    node = tmp_path / "muster-1a" / "node-1"
    for folder in (node.parent, node):  # the kernel makes these with each group
        folder.mkdir()
        (folder / "cgroup.controllers").write_text("cpu memory pids\n")
        (folder / "cgroup.subtree_control").write_text("\n")
    return mounted(V2.format(tmp_path))


LIMITS = Limits(cpu_shares=512, cpu_quota_us=50_000, memory=64 << 20, processes=100)


def test_limits_in_version_1(first, tmp_path):
    assert not first.is_unified
    first.make("/muster-1a/node-1", LIMITS)
    read = {path.name: path.read_text() for path in tmp_path.glob("*/muster-1a/node-1/*")}
    assert read == {"cpu.shares": "512", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000",
                    "memory.limit_in_bytes": "67108864", "pids.max": "100"}
    assert not (tmp_path / "systemd" / "muster-1a").exists(), "where there is nothing to limit, runc makes what it needs"


def test_limits_in_version_2(second, tmp_path):
    assert second.is_unified
    second.make("/muster-1a/node-1", LIMITS)
    read = {path.name: path.read_text() for path in (tmp_path / "muster-1a" / "node-1").iterdir()
            if not path.name.startswith("cgroup.")}
    assert read == {"cpu.weight": "20", "cpu.max": "50000 100000", "memory.max": "67108864", "pids.max": "100"}
    handed_down = [(tmp_path / below / "cgroup.subtree_control").read_text() for below in (".", "muster-1a")]
    assert handed_down == ["+pids", "+pids"], "the last of those that were missing: a file does not add up as the kernel does"


def test_no_limit_at_all(first, second, tmp_path):
    first.limit("/muster-1a", Limits())
    first.make("/muster-1a/node-2", Limits(cpu_quota_us=UNLIMITED, memory=UNLIMITED, processes=UNLIMITED))
    assert (tmp_path / "cpu,cpuacct/muster-1a/node-2/cpu.cfs_quota_us").read_text() == "-1"
    assert (tmp_path / "pids/muster-1a/node-2/pids.max").read_text() == "max"
    second.limit("/muster-1a/node-1", Limits(cpu_quota_us=UNLIMITED, memory=UNLIMITED))
    assert (tmp_path / "muster-1a/node-1/cpu.max").read_text() == "max 100000"
    assert (tmp_path / "muster-1a/node-1/memory.max").read_text() == "max"


@pytest.mark.parametrize("shares, expected", [(2, 1), (3, 1), (1024, 39), (262_144, 10_000)])
def test_shares_as_weight(shares, expected):
    assert weight(shares) == expected


def test_what_is_used(first, second, tmp_path):
    assert first.use("/muster-1a/node-1") is None
    first.make("/muster-1a/node-1")
    for path, text in {"cpu,cpuacct": ("cpuacct.usage", "1500000000\n"), "memory": ("memory.usage_in_bytes", "10000\n"),
                       "pids": ("pids.current", "7\n")}.items():
        (tmp_path / path / "muster-1a/node-1" / text[0]).write_text(text[1])
    (tmp_path / "memory/muster-1a/node-1/memory.stat").write_text("inactive_file 9\ntotal_inactive_file 4000\n")
    assert first.use("/muster-1a/node-1") == GroupUse(1_500_000_000, 6000, 7)

    for name, text in {"cpu.stat": "usage_usec 1500000\nuser_usec 5\n", "memory.current": "10000\n",
                       "memory.stat": "anon 1\ninactive_file 4000\n", "pids.current": "7\n"}.items():
        (tmp_path / "muster-1a/node-1" / name).write_text(text)
    assert second.use("/muster-1a/node-1") == GroupUse(1_500_000_000, 6000, 7)


def test_what_is_in_it_and_its_end(first, tmp_path):
    for name in ("pod1/c1", "pod1/c2", "pod2"):
        first.make(f"/muster-1a/{name}")
    (tmp_path / "systemd" / "muster-1a" / "pod3").mkdir(parents=True)
    assert first.below("/muster-1a") == ["pod1", "pod2", "pod3"]
    assert first.below("/muster-1a/pod1") == ["c1", "c2"]
    assert asyncio.run(first.remove("/muster-1a"))
    assert not list(tmp_path.glob("*/muster-1a"))
