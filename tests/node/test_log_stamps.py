"""The stamps of a runtime's log lines, as kubectl shows them and as `--since` counts them."""
import pytest

from muster.node.cri.log_files import fixed, moment, parse


@pytest.mark.parametrize("stamp, shown, moment_s", [
    pytest.param("2026-01-31T08:00:00.123456789Z", "2026-01-31T08:00:00.123456789Z", 1769846400.123457, id="nine digits"),
    pytest.param("2026-01-31T08:00:00.28663166Z", "2026-01-31T08:00:00.286631660Z", 1769846400.286632, id="a nought less"),
    pytest.param("2026-01-31T08:00:00Z", "2026-01-31T08:00:00.000000000Z", 1769846400.0, id="none at all"),
    pytest.param("2026-01-31T10:00:00.5+02:00", "2026-01-31T10:00:00.500000000+02:00", 1769846400.5, id="east of Greenwich"),
    pytest.param("2026-01-31T03:00:00-05:00", "2026-01-31T03:00:00.000000000-05:00", 1769846400.0, id="west of it"),
])
def test_stamps(stamp, shown, moment_s):
    assert fixed(stamp.encode()) == shown.encode()
    assert moment(parse(f"{stamp} stdout F a line".encode())) == pytest.approx(moment_s, abs=1e-6)
