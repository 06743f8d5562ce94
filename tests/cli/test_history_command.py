"""`muster history` on a story of which every second is known; kubectl's part is in tests/wire/test_history.py."""
from __future__ import annotations

import asyncio
import json

import pytest

from muster.api.errors import BadRequest
from muster.api.objects import Key
from muster.cli.history import Which, diff, list_changes, sha, verify
from muster.clock import Clock, run_virtual
from muster.store.memory import MemoryStore
from muster.store.recorded import RecordingFile
from muster.store.recording import Recording

ALL = Which()


def pod(image="web:1", **status):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop"},
            "spec": {"containers": [{"name": "main", "image": image}]}, "status": {"phase": "Pending", **status}}


STEPS = [  # one a minute
    (Key("namespaces", "", "shop"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
    (Key("pods", "shop", "web-0"), pod()),
    (Key("pods", "shop", "web-0"), pod(phase="Running", podIP="10.0.0.1")),
    (Key("daemonsets.apps", "shop", "agent"), {"apiVersion": "apps/v1", "kind": "DaemonSet",
                                               "metadata": {"name": "agent", "namespace": "shop"}}),
    (Key("pods", "shop", "web-0"), None),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "story"

    async def main(clock: Clock):
        store = MemoryStore()
        recording = Recording.create(path, clock.now)
        recording.follow(store.history, seed=0)
        for key, value in STEPS:
            await asyncio.sleep(60)
            await store.commit(key, value, expect=-1)
        recording.close()

    run_virtual(main)
    return RecordingFile(path)


def test_the_list(file, capsys):
    list_changes(file, ALL, "", "", "table")
    assert capsys.readouterr().out.splitlines() == [
        "REVISION   TIME                  VERB      NAMESPACE         OBJECT                                        CHANGES",
        "1          2026-01-01T00:01:00Z  created   -                 namespaces/shop",
        "2          2026-01-01T00:02:00Z  created   shop              pods/web-0",
        "3          2026-01-01T00:03:00Z  changed   shop              pods/web-0                                    "
        "status.phase: Pending -> Running, status.podIP=10.0.0.1",
        "4          2026-01-01T00:04:00Z  created   shop              daemonsets.apps/agent",
        "5          2026-01-01T00:05:00Z  deleted   shop              pods/web-0",
    ]


@pytest.mark.parametrize("which, since, until, revisions", [
    pytest.param(ALL, "", "", [1, 2, 3, 4, 5], id="all"),
    pytest.param(Which.of("po", "", ""), "", "", [2, 3, 5], id="a short name"),
    pytest.param(Which.of("DaemonSet", "", ""), "", "", [4], id="a kind"),
    pytest.param(Which.of("widgets.example.com", "", ""), "", "", [], id="an unknown kind"),
    pytest.param(Which.of("", "web-?", "shop"), "", "", [2, 3, 5], id="a pattern"),
    pytest.param(Which.of("", "", "default"), "", "", [], id="another namespace"),
    pytest.param(ALL, "3", "", [3, 4, 5], id="since a revision"),
    pytest.param(ALL, "", "3", [1, 2, 3], id="until a revision"),
    pytest.param(ALL, "2026-01-01T00:03:00Z", "+4m", [3, 4], id="times"),
    pytest.param(ALL, "+2m30s", "last", [3, 4, 5], id="since the beginning"),
])
def test_what_is_listed(file, capsys, which, since, until, revisions):
    list_changes(file, which, since, until, "json")
    assert [json.loads(line)["revision"] for line in capsys.readouterr().out.splitlines()] == revisions


def test_a_line_of_json_says_what_changed_or_what_was_made(file, capsys):
    list_changes(file, Which.of("pods", "", ""), "", "", "json")
    made, changed, gone = map(json.loads, capsys.readouterr().out.splitlines())
    assert made["object"]["spec"]["containers"][0]["image"] == "web:1"
    assert changed == {"revision": 3, "time": "2026-01-01T00:03:00.000000Z", "verb": "changed", "resource": "pods",
                       "namespace": "shop", "name": "web-0", "changes": [
                           {"path": "status.phase", "before": "Pending", "after": "Running"},
                           {"path": "status.podIP", "before": None, "after": "10.0.0.1"}]}
    assert gone["verb"] == "deleted" and "object" not in gone


def test_the_difference_of_two_instants(file, capsys):
    diff(file, "2", "+3m", ALL, "text")
    assert capsys.readouterr().out.splitlines() == [
        "--- shop/pods/web-0 at 2 (2026-01-01T00:02:00Z)",
        "+++ shop/pods/web-0 at 3 (2026-01-01T00:03:00Z)",
        "@@ -8,4 +8,5 @@",
        "   - name: main",
        "     image: web:1",
        " status:",
        "-  phase: Pending",
        "+  phase: Running",
        "+  podIP: 10.0.0.1",
    ]
    diff(file, "last", "+2m", ALL, "json")  # backwards, and over what came and went
    assert [(one["verb"], one["name"]) for one in json.loads(capsys.readouterr().out)] == [
        ("deleted", "agent"), ("created", "web-0")]
    diff(file, "3", "3", ALL, "text")
    assert capsys.readouterr().out == "nothing that was asked for is different between revisions 3 and 3\n"


def test_its_sha256_and_whether_it_is_whole(file, capsys):
    sha(file)
    said = capsys.readouterr().out
    assert said == f"{said.split()[0]}  {file.name}\n" and len(said.split()[0]) == 64
    verify(file)
    assert capsys.readouterr().out == (
        f"{file.name} is whole: revisions 1 to 5 (2026-01-01T00:00:00Z to 2026-01-01T00:05:00Z), 5 objects written, "
        f"sha256 {said.split()[0]}\n")


def test_an_output_that_is_not_known_is_refused(file):
    with pytest.raises(BadRequest, match="-o yaml: use table or json"):
        list_changes(file, ALL, "", "", "yaml")
    with pytest.raises(BadRequest, match="-o table: use text or json"):
        diff(file, "1", "2", ALL, "table")
