"""What simulated containers use: as it was said, within its bounds, the same for whoever asks."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.api.amount_ranges import AmountRange, parse_amount_range
from muster.node.usage import NOTHING_SAID, Use, read_usage, said_of, unrequested_memory_of, use_of, used_by

MI = 2**20
CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "110"}


def container(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None):
    return {"name": "app", "resources": {"requests": requests or {}, "limits": limits or {}}}


@pytest.mark.parametrize(("text", "reads"), [
    pytest.param("100m..300m", AmountRange(0.1, 0.3), id="amounts"),
    pytest.param("64Mi", AmountRange(64 * MI, 64 * MI), id="one amount"),
    pytest.param("30% .. 60%", AmountRange(0.3, 0.6, True), id="shares"),
    pytest.param("0", AmountRange(0, 0), id="nothing"),
])
def test_ranges(text, reads):
    assert parse_amount_range(text) == pytest.approx(reads)


@pytest.mark.parametrize("text", ["", "x", "1..", "30%..2", "2..1", "-1", "%", "1..2..3", "60%..30%"])
def test_what_is_no_range(text):
    with pytest.raises(ValueError):
        parse_amount_range(text)


@pytest.mark.parametrize(("text", "reads"), [
    pytest.param("cpu=1", {"*": Use(cpu=AmountRange(1, 1))}, id="every container"),
    pytest.param("app: cpu=1, memory=50%; proxy: cpu=0",
                 {"app": Use(AmountRange(1, 1), AmountRange(0.5, 0.5, True)), "proxy": Use(AmountRange(0, 0))}, id="by name"),
    pytest.param("load=2500m", {"*": Use(load=2.5)}, id="load"),
    pytest.param(" ; ", {}, id="nothing"),
])
def test_annotation(text, reads):
    assert read_usage(text) == reads


@pytest.mark.parametrize("text", ["cpu", "gpu=1", "app: cpu=x"])
def test_an_annotation_that_can_not_be_read_says_nothing(text):
    assert said_of({"muster.dev/usage": text}) == {}


@pytest.mark.parametrize(("given_", "said", "usual", "load", "cpu", "memory_mi"), [
    pytest.param(container({"cpu": "1", "memory": "100Mi"}), "", NOTHING_SAID, 0, (0.2, 0.4), (50, 70), id="a share"),
    pytest.param(container(), "", NOTHING_SAID, 0, (0.001, 0.005), (4, 16), id="without requests"),
    pytest.param(container({"cpu": "1"}), "cpu=2", NOTHING_SAID, 0, (2, 2), (4, 16), id="an amount"),
    pytest.param(container({"cpu": "1"}), "app: cpu=50%; *: cpu=1%", NOTHING_SAID, 0, (0.5, 0.5), (4, 16), id="by name"),
    pytest.param(container({"cpu": "1"}), "x: cpu=2", Use(AmountRange(0.9, 0.9, True)), 0, (0.9, 0.9), (4, 16), id="its pool"),
    pytest.param(container({"cpu": "1"}), "load=9", NOTHING_SAID, 0.7, (0.7, 0.7), (4, 16), id="load alone"),
    pytest.param(container({"cpu": "1"}), "load=9, cpu=100m", NOTHING_SAID, 0.7, (0.8, 0.8), (4, 16), id="load and more"),
    pytest.param(container({}, {"cpu": "500m", "memory": "10Mi"}), "load=9, memory=1Gi", NOTHING_SAID, 3, (0.5, 0.5), (10, 10),
                 id="never over a limit"),
])
def test_use(given_, said, usual, load, cpu, memory_mi):
    use = use_of("app", True, read_usage(said), usual)
    for window in range(0, 300, 15):
        used = used_by(given_, use, "u1", window, load, unrequested_memory_of(CAPACITY))
        assert cpu[0] - 1e-9 <= used.cpu_n / 1e9 <= cpu[1] + 1e-9
        assert memory_mi[0] <= used.memory / MI <= memory_mi[1]
        assert used.storage == 0


def test_processor_time_changes_from_window_to_window_and_memory_stays():
    use = use_of("app", True, {}, NOTHING_SAID)
    found = [used_by(container({"cpu": "1", "memory": "1Gi"}), use, "u1", window, 0, 1e9) for window in range(0, 150, 15)]
    assert len({one.cpu_n for one in found}) == 10
    assert len({one.memory for one in found}) == 1


def test_a_load_of_all_falls_on_the_first_container():
    said = read_usage("load=2")
    assert use_of("app", True, said, NOTHING_SAID).load == 2
    assert use_of("proxy", False, said, NOTHING_SAID).load is None
    assert use_of("proxy", False, read_usage("proxy: load=2"), NOTHING_SAID).load == 2


@given(memory_mi=st.integers(200, 200_000), pods=st.integers(1, 1000), parts=st.integers(1, 40), uid=st.uuids())
def test_by_default_no_node_comes_under_pressure(memory_mi, pods, parts, uid):
    """However its pods share its memory in requests, and with as many as it takes that request nothing."""
    capacity = {"cpu": "4", "memory": f"{memory_mi}Mi", "pods": str(pods)}
    use = use_of("app", True, {}, NOTHING_SAID)
    unrequested = unrequested_memory_of(capacity)
    each = container({"memory": f"{(memory_mi - 100) / parts:.3f}Mi"})
    asking = sum(used_by(each, use, f"{uid}{n}", 0, 0, unrequested).memory for n in range(parts))
    silent = pods * used_by(container(), use, str(uid), 0, 0, unrequested).memory
    assert asking + silent + 0.02 * memory_mi * MI <= (memory_mi - 100) * MI + 4096 * (parts + pods)
