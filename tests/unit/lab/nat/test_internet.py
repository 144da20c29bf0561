import pytest

from shadowmesh.lab.errors import LabError
from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.network import Network


def test_an_internet_is_made_on_an_open_network() -> None:
    with pytest.raises(LabError, match="within its `with` block"):
        Internet(Network())
