"""The numbers that the fields of a DaemonSet have in protobuf, as the source of its type lists them."""
import json

from muster.api import protobuf
from rows import rows


def field(number, value):
    """One field on the wire: a message or text with its length, or a number."""
    if isinstance(value, int):
        return bytes((number << 3, value))
    assert len(value) < 128
    return bytes((number << 3 | 2, len(value))) + value


@rows(28)
def test_the_numbers_of_a_daemonset_spec():
    labels = field(1, b"app") + field(2, b"agent")
    rolling = field(1, field(1, 0) + field(2, 3)) + field(2, field(1, 1) + field(3, b"5%"))
    spec = (field(1, field(1, labels)) + field(2, field(1, field(11, labels)))
            + field(3, field(1, b"RollingUpdate") + field(2, rolling)) + field(4, 7) + field(6, 9))
    daemonset = field(1, field(1, b"agent")) + field(2, spec)
    read = protobuf.decode(b"k8s\0" + field(1, field(1, b"apps/v1") + field(2, b"DaemonSet")) + field(2, daemonset))
    found = (json.loads(read) if isinstance(read, bytes | str) else read)["spec"]
    assert found["template"].pop("metadata")["labels"] == {"app": "agent"}
    assert found == {
        "selector": {"matchLabels": {"app": "agent"}}, "template": found["template"],
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 3, "maxSurge": "5%"}},
        "minReadySeconds": 7, "revisionHistoryLimit": 9}
