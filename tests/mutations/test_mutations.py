"""Every breach can still be made: what it changes stands where it says, once."""
import pytest
from run import ROOT

from mutations import MUTATIONS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.what)
def test_the_text_is_there(mutation):
    assert (ROOT / "src" / "muster" / mutation.file).read_text().count(mutation.old) == 1
