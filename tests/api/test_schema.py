"""Reading objects as Kubernetes v1.32 reads them."""
from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.errors import BadRequest
from muster.api.kinds.kind import Kind
from muster.api.schema import Schema, Unreadable, field_of, type_of

SCHEMA = Schema.load()
DAEMONSET = Kind("apps", "v1", "DaemonSet", "daemonsets", "daemonset", True, "io.k8s.api.apps.v1.DaemonSet")
POD = Kind("", "v1", "Pod", "pods", "pod", True, "io.k8s.api.core.v1.Pod")
SECRET = Kind("", "v1", "Secret", "secrets", "secret", True, "io.k8s.api.core.v1.Secret")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", "lease", True, "io.k8s.api.coordination.v1.Lease")
REVISION = Kind("apps", "v1", "ControllerRevision", "controllerrevisions", "controllerrevision", True,
                "io.k8s.api.apps.v1.ControllerRevision")
WIDGET = Kind("example.com", "v1", "Widget", "widgets", "widget", True, "com.example.v1.Widget", own_schema={
    "com.example.v1.Widget": {
        "apiVersion": "string", "kind": "string", "metadata": "#io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
        "spec": "#com.example.v1.WidgetSpec -- What is wanted."},
    "com.example.v1.WidgetSpec": {"size": "int32!", "parts": "[]#com.example.v1.Part patch=merge key=name", "*": "any"},
    "com.example.v1.Part": {"name": "string!", "inner": "#com.example.v1.Part"},
})

POD_OBJECT: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web", "a.b/c": "d"},
                 "creationTimestamp": "2026-01-31T08:00:00Z",
                 "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1",
                                      "controller": True}]},
    "spec": {
        "containers": [{
            "name": "c", "image": "nginx:1.25", "args": ["-v", "2"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "1"}},
            "livenessProbe": {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 5},
        }],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/var/log", "type": ""}}],
        "nodeSelector": {}, "tolerations": [], "terminationGracePeriodSeconds": 30, "hostNetwork": False,
    },
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def daemonset(spec: Any = None, **rest: Any) -> dict[str, Any]:
    made = {"apiVersion": "apps/v1", "kind": "DaemonSet", **rest}
    return made if spec is None else {**made, "spec": spec}


def pod_template(**spec: Any) -> dict[str, Any]:
    return {"template": {"spec": spec}}


def test_what_is_right_comes_back_as_the_same_object():
    read, warnings = SCHEMA.read(POD, POD_OBJECT, "Strict")
    assert read is POD_OBJECT
    assert warnings == []


def test_what_is_right_is_shared_where_its_neighbour_is_not():
    given_ = {**POD_OBJECT, "spec": {**POD_OBJECT["spec"], "bogus": 1}}
    read, _ = SCHEMA.read(POD, given_, "Ignore")
    assert read == POD_OBJECT
    assert read["metadata"] is POD_OBJECT["metadata"]
    assert read["spec"]["containers"] is POD_OBJECT["spec"]["containers"]
    assert "bogus" in given_["spec"], "what was given is left alone"


@pytest.mark.parametrize(("spec", "says"), [
    pytest.param({"minReadySeconds": "x"}, "json: cannot unmarshal string into Go struct field "
                 "DaemonSetSpec.spec.minReadySeconds of type int32", id="text for a number"),
    pytest.param({"minReadySeconds": 1.5}, "json: cannot unmarshal number 1.5 into Go struct field "
                 "DaemonSetSpec.spec.minReadySeconds of type int32", id="a fraction"),
    pytest.param({"minReadySeconds": 3000000000}, "json: cannot unmarshal number 3000000000 into Go struct field "
                 "DaemonSetSpec.spec.minReadySeconds of type int32", id="beyond int32"),
    pytest.param({"minReadySeconds": True}, "json: cannot unmarshal bool into Go struct field "
                 "DaemonSetSpec.spec.minReadySeconds of type int32", id="true is not 1"),
    pytest.param({"template": []}, "json: cannot unmarshal array into Go struct field "
                 "DaemonSetSpec.spec.template of type v1.PodTemplateSpec", id="a list for an object"),
    pytest.param(pod_template(containers={}), "json: cannot unmarshal object into Go struct field "
                 "PodSpec.spec.template.spec.containers of type []v1.Container", id="an object for a list"),
    pytest.param(pod_template(containers=[{"name": "a"}, {"image": 5}]), "json: cannot unmarshal number into Go "
                 "struct field Container.spec.template.spec.containers.image of type string", id="no index in it"),
    pytest.param(pod_template(containers=[{"imagePullPolicy": 5}]), "json: cannot unmarshal number into Go struct "
                 "field Container.spec.template.spec.containers.imagePullPolicy of type v1.PullPolicy",
                 id="a named text"),
    pytest.param(pod_template(nodeSelector={"a": True}), "json: cannot unmarshal bool into Go struct field "
                 "PodSpec.spec.template.spec.nodeSelector of type string", id="a value of a map"),
    pytest.param(pod_template(nodeSelector=["a"]), "json: cannot unmarshal array into Go struct field "
                 "PodSpec.spec.template.spec.nodeSelector of type map[string]string", id="a list for a map"),
    pytest.param(pod_template(hostNetwork="true"), "json: cannot unmarshal string into Go struct field "
                 "PodSpec.spec.template.spec.hostNetwork of type bool", id="text for a boolean"),
    pytest.param(pod_template(containers=[{"resources": {"limits": {"cpu": "abc"}}}]), "quantities must match the "
                 "regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'", id="no quantity"),
    pytest.param(pod_template(containers=[{"resources": {"limits": {"cpu": True}}}]), "quantities must match the "
                 "regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'", id="true is no quantity"),
    pytest.param({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1.5}}}, "json: cannot unmarshal number 1.5 "
                 "into Go struct field RollingUpdateDaemonSet.spec.updateStrategy.rollingUpdate.maxUnavailable of "
                 "type int32", id="neither int nor string"),
])
def test_wrong_types_are_refused_in_go_words_in_every_mode(spec: Any, says: str):
    for mode in ("Strict", "Warn", "Ignore"):
        with pytest.raises(BadRequest) as refused:
            SCHEMA.read(DAEMONSET, daemonset(spec), mode)  # type: ignore[arg-type]
        assert refused.value.message == f'DaemonSet in version "v1" cannot be handled as a DaemonSet: {says}'


@pytest.mark.parametrize(("spec", "says"), [
    pytest.param({"minReadySeconds": "x"}, "unrecognized type: int32", id="text for a number"),
    pytest.param({"minReadySeconds": 1.5}, "cannot convert float64 to int32", id="a fraction"),
    pytest.param({"template": []}, "cannot restore struct from: slice", id="a list for an object"),
    pytest.param(pod_template(containers={}), "cannot restore slice from map", id="an object for a list"),
    pytest.param(pod_template(containers=[{"image": 5}]), "cannot convert int64 to string", id="a number for text"),
    pytest.param(pod_template(containers=[{"image": 1.5}]), "unrecognized type: string", id="a fraction for text"),
    pytest.param(pod_template(containers=[{"imagePullPolicy": 5}]), "cannot convert int64 to v1.PullPolicy", id="a named text"),
    pytest.param(pod_template(nodeSelector={"a": True}), "unrecognized type: string", id="a value of a map"),
    pytest.param(pod_template(nodeSelector="a"), "cannot restore map from string", id="text for a map"),
    pytest.param(pod_template(hostNetwork="true"), "unrecognized type: bool", id="text for a boolean"),
    pytest.param({"updateStrategy": {"rollingUpdate": {"maxUnavailable": True}}},
                 "json: cannot unmarshal bool into Go value of type int32", id="neither int nor string"),
])
def test_of_a_strategic_patch_it_is_said_in_other_words(spec: Any, says: str):
    with pytest.raises(Unreadable) as refused:
        SCHEMA.read(DAEMONSET, daemonset(spec), "Warn")
    assert refused.value.wrong.converted == says


@pytest.mark.parametrize(("obj", "duplicates", "complaints"), [
    pytest.param(daemonset({"foo": 1, "bar": None}), (), ['unknown field "spec.foo"', 'unknown field "spec.bar"'],
                 id="in the order they stand"),
    pytest.param(daemonset(pod_template(containers=[{"name": "a"}, {"name": "b", "imagee": "x"}])), (),
                 ['unknown field "spec.template.spec.containers[1].imagee"'], id="inside a list"),
    pytest.param(daemonset(Spec={}), (), ['unknown field "Spec"'], id="case matters"),
    pytest.param(daemonset({"minReadySeconds": 1}), ["spec.minReadySeconds"],
                 ['duplicate field "spec.minReadySeconds"'], id="a duplicate"),
    pytest.param(daemonset({"x": {"y": 1}}), ["spec.x.y"], ['unknown field "spec.x"'],
                 id="duplicates inside the unknown do not count"),
])
def test_unknown_and_duplicate_fields(obj: Any, duplicates: list[str], complaints: list[str]):
    with pytest.raises(BadRequest) as refused:
        SCHEMA.read(DAEMONSET, obj, "Strict", duplicates)
    assert refused.value.message == ('DaemonSet in version "v1" cannot be handled as a DaemonSet: '
                                     f"strict decoding error: {', '.join(complaints)}")
    read, warnings = SCHEMA.read(DAEMONSET, obj, "Warn", duplicates)
    assert warnings == complaints
    assert SCHEMA.read(DAEMONSET, read, "Strict") == (read, [])
    assert SCHEMA.read(DAEMONSET, obj, "Ignore", duplicates) == (read, [])


@pytest.mark.parametrize(("kind", "obj", "read"), [
    pytest.param(POD, {"metadata": {"creationTimestamp": None, "labels": None}}, {"metadata": {}}, id="nulls go"),
    pytest.param(POD, {"metadata": {"labels": {"a": None}}}, {"metadata": {"labels": {"a": ""}}}, id="null in a map"),
    pytest.param(POD, {"spec": {"containers": [None, {"args": ["a", None]}]}},
                 {"spec": {"containers": [{}, {"args": ["a", ""]}]}}, id="null in a list"),
    pytest.param(POD, {"metadata": {"managedFields": [{"manager": "x"}]}}, {"metadata": {}}, id="managedFields go"),
    pytest.param(POD, {"metadata": {"creationTimestamp": "2026-01-31T09:00:00.7+01:00"}},
                 {"metadata": {"creationTimestamp": "2026-01-31T08:00:00Z"}}, id="times in UTC, whole seconds"),
    pytest.param(LEASE, {"spec": {"renewTime": "2026-01-31T08:00:00.000001Z"}},
                 {"spec": {"renewTime": "2026-01-31T08:00:00.000001Z"}}, id="micro times keep six decimals"),
    pytest.param(POD, {"spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]}},
                 {"spec": {"containers": [{"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}},
                 id="quantities in their canonical form"),
    pytest.param(SECRET, {"data": {"a": "YWI=", "b": "YW\nI="}}, {"data": {"a": "YWI=", "b": "YWI="}}, id="base64"),
    pytest.param(REVISION, {"data": {"anything": [1, None, {"x": None}]}, "revision": 2**40},
                 {"data": {"anything": [1, None, {"x": None}]}, "revision": 2**40}, id="raw JSON is left alone"),
    pytest.param(WIDGET, {"spec": {"size": 1, "extra": None}}, {"spec": {"size": 1, "extra": None}},
                 id="what may be anything may be null"),
    pytest.param(WIDGET, {"spec": {"size": 1, "extra": {"a": None}, "parts": [{"inner": {"inner": {"x": 1}}}]}},
                 {"spec": {"size": 1, "extra": {"a": None}, "parts": [{"inner": {"inner": {}}}]}}, id="own schema"),
])
def test_what_is_read(kind: Kind, obj: Any, read: Any):
    assert SCHEMA.read(kind, obj, "Ignore") == (read, [])


@pytest.mark.parametrize(("kind", "obj", "says"), [
    pytest.param(POD, {"metadata": {"creationTimestamp": "2026-01-31"}},
                 'parsing time "2026-01-31" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"', id="a date"),
    pytest.param(POD, {"metadata": {"creationTimestamp": "2026-13-31T00:00:00Z"}},
                 'parsing time "2026-13-31T00:00:00Z": month out of range', id="no such month"),
    pytest.param(POD, {"metadata": {"creationTimestamp": "2026-02-30T00:00:00Z"}},
                 'parsing time "2026-02-30T00:00:00Z": day out of range', id="no such day"),
    pytest.param(LEASE, {"spec": {"renewTime": "2026-01-31T08:00:00Z"}},
                 'parsing time "2026-01-31T08:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": '
                 'cannot parse "Z" as ".000000"', id="a micro time without decimals"),
    pytest.param(SECRET, {"data": {"a": "YWI"}}, "illegal base64 data at input byte 0", id="base64 cut short"),
    pytest.param(SECRET, {"data": {"a": "YQ="}}, "illegal base64 data at input byte 3", id="half the padding"),
    pytest.param(SECRET, {"data": {"a": "Y!I="}}, "illegal base64 data at input byte 1", id="no base64"),
    pytest.param(SECRET, {"data": {"a": "YWI=YQ=="}}, "illegal base64 data at input byte 4", id="after the end"),
])
def test_formats(kind: Kind, obj: Any, says: str):
    with pytest.raises(BadRequest) as refused:
        SCHEMA.read(kind, obj, "Ignore")
    assert refused.value.message == f'{kind.name} in version "v1" cannot be handled as a {kind.name}: {says}'


@pytest.mark.parametrize(("obj", "says"), [
    pytest.param(daemonset(kind="Deployment"), 'Deployment in version "v1" cannot be handled as a DaemonSet: '
                 "converting (v1.Deployment) to (apps.DaemonSet): unknown conversion", id="another kind"),
    pytest.param(daemonset(apiVersion="apps/v1beta1"), "the API version in the data (apps/v1beta1) does not match "
                 "the expected API version (apps/v1)", id="another version"),
    pytest.param([], "the object provided is unrecognized (must be of type DaemonSet): couldn't get version/kind; "
                 "json parse error: json: cannot unmarshal array into Go value of type struct", id="no object"),
])
def test_objects_of_another_kind(obj: Any, says: str):
    with pytest.raises(BadRequest) as refused:
        SCHEMA.read(DAEMONSET, obj, "Ignore")
    assert refused.value.message == says


def test_bodies_that_are_no_kind_of_their_own():
    name = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    assert SCHEMA.read_as(name, {"gracePeriodSeconds": 0}, "Strict") == ({"gracePeriodSeconds": 0}, [])
    with pytest.raises(BadRequest, match='^DeleteOptions in version "v1" cannot be handled as a DeleteOptions: '):
        SCHEMA.read_as(name, {"gracePeriodSeconds": "0"}, "Strict")


def test_a_row_that_replaces_another_brings_its_own_schema():
    schema = Schema.load()
    wider = Kind("example.com", "v1", "Widget", "widgets", "widget", True, WIDGET.definition, own_schema={
        **WIDGET.own_schema, "com.example.v1.WidgetSpec": {"colour": "string"}})
    obj = {"spec": {"colour": 1}}
    assert schema.read(WIDGET, obj, "Strict") == (obj, [])
    with pytest.raises(BadRequest, match="WidgetSpec.spec.colour of type string"):
        schema.read(wider, obj, "Strict")
    assert schema.read(WIDGET, obj, "Strict") == (obj, [])


def test_definitions():
    spec = SCHEMA.definition("io.k8s.api.core.v1.PodSpec")
    assert spec.fields["containers"].merge_key == "name"
    assert spec.fields["containers"].required
    assert spec.fields["volumes"].patch == ("merge", "retainKeys")
    assert spec.fields["tolerations"].list_type == "atomic"
    assert SCHEMA.definition(DAEMONSET.definition).kinds == (("apps", "v1", "DaemonSet"),)
    assert SCHEMA.definition("io.k8s.apimachinery.pkg.api.resource.Quantity").plain == "quantity"
    with pytest.raises(KeyError):
        SCHEMA.definition("io.k8s.api.core.v1.Nonsense")


def test_a_field_is_a_line():
    field = field_of("ports", "[]#a.v1.Port! patch=merge key=port list=map keys=port,protocol -- Where it listens.")
    assert (field.type, field.required) == (type_of("[]#a.v1.Port"), True)
    assert (field.patch, field.merge_key, field.list_keys) == (("merge",), "port", ("port", "protocol"))
    assert field.description == "Where it listens."


def test_every_definition_can_be_read():
    for name in Schema.load()._facts:
        SCHEMA._readers.reader(name)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
                        st.sampled_from(["metadata", "spec", "template", "containers", "name", "image", "env", "value",
                                         "labels", "ports", "resources", "limits", "updateStrategy", "other"]),
                        inner, max_size=5), max_leaves=25)


@given(JSON)
def test_anything_is_read_or_refused_and_reading_twice_changes_nothing(obj: Any):
    try:
        read, warnings = SCHEMA.read(DAEMONSET, obj, "Warn")
    except BadRequest:
        return
    again, none = SCHEMA.read(DAEMONSET, read, "Strict")
    assert again is read
    assert none == []
    assert read is obj or not warnings or read != obj


def test_the_facts_are_what_the_generator_makes():
    pytest.importorskip("kubernetes_validate")
    path = Path(__file__).parents[2] / "tools" / "generate_schema.py"
    described = importlib.util.spec_from_file_location("generate_schema", path)
    assert described is not None and described.loader is not None
    generator = importlib.util.module_from_spec(described)
    described.loader.exec_module(generator)
    made = orjson.loads(gzip.decompress(generator.generate()))
    assert made["definitions"] == Schema.load()._facts
