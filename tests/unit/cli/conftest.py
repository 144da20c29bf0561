from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.program import start_node, stop_node


@pytest.fixture(scope="session")
def running_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a node that runs without device and backbone. It is shared: a test leaves it as it was."""
    home = tmp_path_factory.mktemp("running")
    start_node(home)
    yield home
    stop_node(home)
