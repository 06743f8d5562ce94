"""What can not be rehearsed is refused before anything runs, in one sentence that names the option."""
from __future__ import annotations

import re
from pathlib import Path

import pytest
from rehearsed import a_daemonset, asked

from muster.api.errors import ApiError, BadRequest
from muster.rehearsal.stage import prepare


def refused(folder, *given, **more) -> str:
    with pytest.raises(BadRequest) as error:
        asked(folder, *given, **more)
    return str(error.value)


@pytest.mark.parametrize(("more", "says"), [
    pytest.param({"nodes": 0}, "say on what: --nodes N, --pool NAME=N, or --on", id="no nodes"),
    pytest.param({"output": "pdf"}, "-o pdf: use text, json, svg, png or html", id="unknown output"),
    pytest.param({"record": Path("no/such/folder/x.rec")}, "--record no/such/folder/x.rec: there is no folder", id="record where"),
    pytest.param({"out": Path("/")}, "--out /: that is a folder; name a file", id="out to a folder"),
    pytest.param({"record": Path("x.rec"), "settings": ["ds/agent.spec.minReadySeconds=1,2"]},
                 "--record x.rec: that is one history, and --set names 2 alternatives; record one of them", id="record what"),
    pytest.param({"laws": "some"}, "--laws some: use all, first or none", id="which laws"),
    pytest.param({"output": "png"}, "-o png: name the file that it goes into with --out FILE", id="png to a terminal"),
    pytest.param({"until": "soon"}, '--until soon: must be "stable" or a duration', id="until when"),
    pytest.param({"until": "never"}, "--until never: must be longer than nothing, and end", id="until never"),
    pytest.param({"lengths": {"pull": "a while"}}, "--pull a while: must be a duration", id="no length"),
    pytest.param({"lengths": {"stop": "9s..3s"}}, "--stop 9s..3s: must not start (9s) above its end (3s)", id="range"),
    pytest.param({"lengths": {"start": "lognormal(p50=2m,p95=30s)"}},
                 "--start lognormal(p50=2m,p95=30s): must have 0 < p50 (2m) < p95 (30s)", id="lognormal"),
    pytest.param({"lengths": {"pull": "lognormal(30s)"}}, 'must be written as "lognormal(p50=30s,p95=2m)"', id="words"),
    pytest.param({"lengths": {"ready": "measured"}}, "--ready measured: there is no snapshot to measure it in", id="measured"),
    pytest.param({"fail": ["some"]}, '--fail "some"', id="fail"),
    pytest.param({"kill_node": ["200%@1m"]}, "--kill-node", id="kill-node"),
    pytest.param({"skew": ["3%"]}, "--skew", id="skew"),
    pytest.param({"settings": ["ds/agent=3"]}, "--set ds/agent=3: the field must begin with spec, metadata or data", id="no field"),
    pytest.param({"settings": ["agent.spec.x=3"]}, "--set agent.spec.x=3: must be KIND/NAME.FIELD...=VALUE", id="no kind"),
    pytest.param({"settings": ["ds/agent.spec.minReadySeconds=1,1"]}, "a value is given twice", id="twice"),
    pytest.param({"settings": [f"ds/agent.spec.minReadySeconds={','.join(map(str, range(9)))}"] * 2},
                 "--set: that is 81 alternatives; at most 64 are compared", id="too many"),
])
def test_refused(tmp_path, more, says) -> None:
    assert says in refused(tmp_path, [a_daemonset()], **{"nodes": 2, **more})


def test_nothing_happens(tmp_path) -> None:
    assert refused(tmp_path, nodes=2) == "say what happens: -f FILE, --set, or --restart"


@pytest.mark.parametrize(("more", "says"), [
    pytest.param({"settings": ["ds/other.spec.minReadySeconds=1"]},
                 "there is no daemonset other, neither in the files nor on the cluster; there is agent", id="no such object"),
    pytest.param({"settings": ["thing/agent.spec.x=1"]}, 'the server doesn\'t have a resource type "thing"', id="no such kind"),
    pytest.param({"restart": ["ds"]}, "--restart ds: must be KIND/NAME", id="restart what"),
    pytest.param({"restart": ["node/n1"]}, "nodes can not be restarted", id="restart a node"),
])
def test_refused_once_the_cluster_is_known(tmp_path, more, says) -> None:
    with pytest.raises(BadRequest, match=re.escape(says)):
        prepare(asked(tmp_path, [a_daemonset()], nodes=1, **more))


def test_a_value_that_the_kind_refuses_names_the_field(tmp_path) -> None:
    """Before anything runs, also where it is the last alternative's, or for what is only on the cluster."""
    for files in ([a_daemonset()], []), ([], [a_daemonset()]):
        where = "applied.yaml, line 1, with" if files[0] else "with"
        with pytest.raises(ApiError, match=rf"{where} maxUnavailable=-3: .*maxUnavailable: Invalid value"):
            prepare(asked(tmp_path, *files, nodes=1,
                          settings=["ds/agent.spec.updateStrategy.rollingUpdate.maxUnavailable=1,-3"]))


def test_a_field_that_the_kind_does_not_have(tmp_path) -> None:
    with pytest.raises(ApiError, match=r'with maxSpeed=1: .*unknown field "spec.maxSpeed"'):
        prepare(asked(tmp_path, [a_daemonset()], nodes=1, settings=["ds/agent.spec.maxSpeed=1"]))


def test_what_the_server_fills_in_is_not_missed(tmp_path) -> None:
    """A Job's selector, say."""
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "sum", "image": "busybox"}]}}}}
    prepare(asked(tmp_path, [job], nodes=1, settings=["job/sum.spec.parallelism=1,2"]))


def test_a_path_that_leads_nowhere(tmp_path) -> None:
    with pytest.raises(BadRequest, match="has no 'item named other'"):
        prepare(asked(tmp_path, [a_daemonset()], nodes=1,
                      settings=["ds/agent.spec.template.spec.containers[other].image=x"]))
