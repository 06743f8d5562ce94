"""docs/guides/testing.md: every example in it is run, as a project of its own."""
from __future__ import annotations

import re
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import muster.testing  # noqa: F401  # before pytester: it forgets what a run imports, and not all can be imported twice

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"
EXAMPLES = dict(re.findall(r"```python\n# (test_\w+)\.py\n(.*?)```", GUIDE.read_text(), re.DOTALL))
INSTALLED = any(one.value == "muster.pytest_plugin" for one in entry_points(group="pytest11"))
OURS = () if INSTALLED else ("-p", "muster.pytest_plugin")


def test_all_python_in_the_guide_is_run():
    assert GUIDE.read_text().count("```python") == len(EXAMPLES) == 6


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_guide(pytester, name):
    if "kubectl(" in EXAMPLES[name] and shutil.which("kubectl") is None:
        pytest.skip("no kubectl on this machine")
    pytester.makepyfile(**{f"{name}_of_the_guide": EXAMPLES[name]})  # no namesake of a module of ours
    done = pytester.runpytest(*OURS, "-p", "no:cacheprovider", "--strict-markers")
    outcomes = done.parseoutcomes()
    assert set(outcomes) <= {"passed", "skipped", "warnings"}
    if name != "test_clients":  # its packages may be missing
        assert "skipped" not in outcomes
