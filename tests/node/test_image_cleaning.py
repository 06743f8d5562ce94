"""Which images a node can do without: a table, and when it has to."""
import pytest

from muster.node.image_cleaning import Kept, expendable, outlived, to_free
from muster.node.node_settings import NodeSettings

NOON = 1_767_225_600.0
USUAL = NodeSettings()


def image(id_, *, wanted=False, age_s=3600.0, unused_s=None):
    """`unused_s=None`: it was never used."""
    return Kept(id_, 100, wanted, NOON - age_s, 0.0 if unused_s is None else NOON - unused_s)


@pytest.mark.parametrize("available, expected", [
    pytest.param(16, 0, id="less full than that"), pytest.param(15, 5, id="as full: down to the lower mark"),
    pytest.param(0, 20, id="full"),
])
def test_how_much_is_to_go(available, expected):
    assert to_free(available, 100, USUAL) == expected


@pytest.mark.parametrize("images, expected", [
    pytest.param([image("a", wanted=True)], "", id="none that is wanted"),
    pytest.param([image("young", age_s=119.9), image("old", age_s=120)], "old", id="none that has just come"),
    pytest.param([image("a", unused_s=10), image("b", unused_s=20)], "b a", id="unused longest first"),
    pytest.param([image("a", unused_s=10), image("b")], "b a", id="never used before all"),
    pytest.param([image("a", age_s=500), image("b", age_s=600)], "b a", id="then the oldest"),
])
def test_which_may_go(images, expected):
    assert " ".join(one.id for one in expendable(images, NOON, USUAL)) == expected


def test_which_go_also_where_there_is_room():
    images = [image("never", age_s=601), image("lately", unused_s=599), image("long ago", unused_s=601), image("in use", wanted=True)]
    assert outlived(images, NOON, USUAL) == []
    assert {one.id for one in outlived(images, NOON, NodeSettings(image_max_age_s=600.0))} == {"never", "long ago"}
