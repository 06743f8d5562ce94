"""What is wrong with a YAML file is said as kubectl says it: the rows hold what kubectl 1.32 said of the same text."""
from __future__ import annotations

import pytest

from muster.api.errors import BadRequest
from muster.server.bodies import decode


@pytest.mark.parametrize(("text", "says"), [
    pytest.param("kind: [", "line 1: did not find expected node content", id="cut off"),
    pytest.param("a: [1\n b", "line 2: did not find expected ',' or ']'", id="no bracket"),
    pytest.param("a:\n\tb: 1\n", "line 2: found character that cannot start any token", id="a tab"),
    pytest.param("a: 1\nb: 2\n c: 3\n", "line 3: mapping values are not allowed in this context", id="indentation"),
    pytest.param("x:\n  y: 1\n z: 2", "line 2: did not find expected key", id="less indentation"),
    pytest.param("@", "found character that cannot start any token", id="in the first line"),
    pytest.param("a: |\n b\n  c\n\td: [", "line 4: found a tab character where an indentation space is expected",
                 id="a tab in a block"),
])
def test_in_kubectl_s_words(text, says) -> None:
    with pytest.raises(BadRequest) as refused:
        decode(text.encode(), "yaml")
    assert str(refused.value) == f"error converting YAML to JSON: yaml: {says}"
