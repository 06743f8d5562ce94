"""A controller that is not told of a change would have had nothing to do for it: checked at every change of stories.

What a controller says it need not hear of (`Changes`) is a promise about its `wakes`; here it is asked all the same.
"""
from __future__ import annotations

from collections import Counter

import pytest

from muster.client.listeners import Listeners
from muster.control.runtime import Runtime
from muster.rehearsal.story_play import play


@pytest.mark.parametrize("seed", [3, 7, 19])
def test_who_is_not_told_has_nothing_to_do(seed, monkeypatch):
    spared: Counter[str] = Counter()
    table = Listeners.of

    def told(self, change):
        found = table(self, change)
        for listener, _ in self._all[change.key.resource]:
            runtime = getattr(listener, "__self__", None)
            if listener in found or not isinstance(runtime, Runtime):
                continue
            controller, mirror = runtime.controller, runtime._mirror
            spared[controller.name] += 1
            for key in controller.wakes(change, mirror):
                if controller.name == "garbage-collector" and key == change.key:
                    continue  # it looks at what is ending at each change, though none of the status matters to it
                assert controller.observe(mirror, key) is None, f"{controller.name} has to hear of {change}"
        return found

    monkeypatch.setattr(Listeners, "of", told)
    assert not play(seed).broken
    assert len(spared) > 10 and spared.total() > 300, spared
