"""A KubeletConfiguration as settings of a node: what it gives away, and what it refuses to read."""
import pytest

from muster.node.node_settings import USUAL, read_settings
from muster.node.thresholds import Observed, read_thresholds

MI = 1 << 20
CAPACITY = {"cpu": "2", "memory": "4194304Ki", "ephemeral-storage": "1000000Ki", "pods": "110"}


def settings(**fields):
    return read_settings({"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **fields})


@pytest.mark.parametrize("fields, for_pods, allocatable", [
    pytest.param({}, {}, {"memory": "3996Mi", "ephemeral-storage": "921599999"}, id="upstream's own"),
    pytest.param({"evictionHard": {"memory.available": "0%"}}, {}, {}, id="nothing kept back"),
    pytest.param({"evictionHard": {}, "systemReserved": {"cpu": "500m", "memory": "1Gi"}, "kubeReserved": {"memory": "1Gi"}},
                 {"cpu": "1500m", "memory": "2Gi"}, {"cpu": "1500m", "memory": "2Gi"}, id="reserved"),
    pytest.param({"evictionHard": {"memory.available": "1Gi"}, "systemReserved": {"memory": "1Gi"}},
                 {"memory": "3Gi"}, {"memory": "2Gi"}, id="both"),
    pytest.param({"evictionHard": {}, "systemReserved": {"memory": "1Ti"}}, {"memory": "0"}, {"memory": "0"}, id="more than there is"),
])
def test_what_pods_get(fields, for_pods, allocatable):
    assert settings(**fields).for_pods(CAPACITY) == CAPACITY | for_pods
    assert settings(**fields).allocatable(CAPACITY) == CAPACITY | allocatable


def test_what_it_says():
    told = settings(imageGCHighThresholdPercent=70, imageGCLowThresholdPercent=60, imageMinimumGCAge="1m30s", imageMaximumGCAge="24h0m0s",
                    podPidsLimit=100, maxPods=20, evictionPressureTransitionPeriod="30s")
    assert (told.image_high_percent, told.image_low_percent, told.image_min_age_s, told.image_max_age_s) == (70, 60, 90.0, 86400.0)
    assert (told.pod_processes, told.most_pods, told.transition_s) == (100, 20, 30.0)
    assert settings() == USUAL and settings(podPidsLimit=-1).pod_processes is None
    logs = settings(containerLogMaxSize="64Ki", containerLogMaxFiles=3, containerLogMonitorInterval="3s")
    assert (logs.log_bytes, logs.log_files, logs.log_look_s) == (65536, 3, 3.0)
    assert (USUAL.log_bytes, settings(containerLogMaxSize="-1").log_bytes) == (10 * MI, None)


@pytest.mark.parametrize("fields, why", [
    ({"kind": "Pod"}, "it is no KubeletConfiguration of kubelet.config.k8s.io/v1beta1"),
    ({"cgroupDriver": "systemd"}, "cgroupDriver does not hold here; what does is containerLogMaxFiles, "),
    ({"evictionHard": {"memory": "1Gi"}}, "evictionHard: memory is no signal; there are memory.available, nodefs.available, "),
    ({"evictionHard": {"memory.available": "-1Gi"}}, "evictionHard: memory.available: -1Gi is not more than nothing"),
    ({"evictionHard": {"nodefs.available": "120%"}}, "evictionHard: nodefs.available: 120% is not between 0% and 100%"),
    ({"evictionHard": "1Gi"}, "evictionHard: "),
    ({"imageGCHighThresholdPercent": 101}, "imageGCHighThresholdPercent: 101 is not between 0 and 100"),
    ({"imageGCHighThresholdPercent": 80}, "imageGCLowThresholdPercent: it must be less than imageGCHighThresholdPercent"),
    ({"imageMinimumGCAge": "soon"}, "imageMinimumGCAge: "),
    ({"containerLogMaxSize": "much"}, "containerLogMaxSize: "),
    ({"containerLogMaxFiles": 1}, "containerLogMaxFiles: 1 is not more than 1: one is written, and one at least is kept"),
    ({"containerLogMonitorInterval": "1s"}, "containerLogMonitorInterval: 1s is less than 3s"),
    ({"systemReserved": {"memory": "-1"}}, "systemReserved: memory: -1 is less than nothing"),
])
def test_what_it_refuses(fields, why):
    with pytest.raises(ValueError) as refused:
        settings(**fields)
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize("statement, capacity, kept_back, shown", [
    ({"memory.available": "100Mi"}, 1 << 30, 100 * MI, "100Mi"),
    ({"nodefs.available": "10%"}, 1_000_000_000, 100_000_001, "100000001"),  # upstream's 10% is 0.10000000149
    ({"pid.available": "1k"}, 32768, 1000, "1k"),
])
def test_how_little_may_be_left(statement, capacity, kept_back, shown):
    first = read_thresholds(statement)[0]
    assert (first.kept_back(capacity), first.shown(capacity)) == (kept_back, shown)
    assert first.is_met(Observed(kept_back - 1, capacity)) and not first.is_met(Observed(kept_back, capacity))


def test_what_holds_for_memory_holds_for_what_pods_may_take():
    assert [one.signal.name for one in read_thresholds({"nodefs.available": "10%", "memory.available": "100Mi"})] == [
        "memory.available", "allocatableMemory.available", "nodefs.available"]
