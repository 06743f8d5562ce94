"""Logs of real containers that grow too large are put aside, and nobody who follows one misses a line."""
import gzip
import re

import pytest
from real_nodes import kept_so, pod, shell, until

TALKS = """n=0
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
  last=$((n + 2000)); while [ $n -lt $last ]; do echo line $n; n=$((n + 1)); done; sleep 1
done
trap 'exit 0' TERM; while :; do sleep 0.1; done"""


@pytest.mark.long
def test_a_log_that_grows_too_large(tmp_path, busybox):
    settings = {"containerLogMaxSize": "64Ki", "containerLogMaxFiles": 3, "containerLogMonitorInterval": "3s"}
    with kept_so(tmp_path, busybox, **settings) as (cluster, space):
        space.apply(pod("talks", shell(TALKS)))
        space.ready("talks")
        followed = space.start("logs", "-f", "talks")
        uid = space.get("pod", "talks")["metadata"]["uid"]
        (folder,) = (tmp_path / "data" / "nodes" / "node-1").glob(f"**/pods/*_talks_{uid}/app")

        def files():
            return sorted(one.name for one in folder.iterdir())

        until(lambda: any(name.endswith(".gz") for name in files()))
        until(lambda: "line 25999" in "".join(one.read_text() for one in folder.iterdir() if not one.name.endswith(".gz")))
        until(lambda: len(files()) == 3 and (folder / "0.log").stat().st_size < 65536)
        packed, aside = files()[1:] if files()[1].endswith(".gz") else reversed(files()[1:])
        assert re.fullmatch(r"0\.log\.\d{8}-\d{6}\.gz", packed) and re.fullmatch(r"0\.log\.\d{8}-\d{6}", aside)
        assert b" stdout F line " in gzip.decompress((folder / packed).read_bytes())
        assert len(space.kubectl("logs", "talks").splitlines()) < 26_000, "kubectl logs shows the newest file"
        space.kubectl("delete", "pod", "talks")
        said, _ = followed.communicate(timeout=30)
        assert said.splitlines() == [f"line {n}" for n in range(26_000)]
        assert not folder.parent.exists()
