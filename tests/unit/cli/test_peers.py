from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.program import run
from tests.unit.identity.people import ALICE, BOB

from shadowmesh.control.schema import TrustedDocument, TrustListDocument


@pytest.fixture(params=["running", "stopped"])
def home(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    if request.param == "running":
        return str(request.getfixturevalue("running_home"))
    run(capsys, "id", "--home", str(tmp_path))
    return str(tmp_path)


def test_trust_is_given_listed_and_taken_back(capsys: pytest.CaptureFixture[str], home: str) -> None:
    given = run(capsys, "peers", "trust", str(BOB.fingerprint), "--name", "bob", "--home", home, "--json")
    assert msgspec.json.decode(given.out, type=TrustedDocument).peer.name == "bob"
    listed = msgspec.json.decode(run(capsys, "peers", "list", "--home", home, "--json").out, type=TrustListDocument)
    assert [entry.fingerprint for entry in listed.trusted] == [str(BOB.fingerprint)]
    assert "bob" in run(capsys, "peers", "list", "--home", home).out
    taken = run(capsys, "peers", "untrust", str(BOB.peer_id.overlay_address), "--home", home)
    assert taken.out == f"no longer trusted: bob {BOB.fingerprint}\n"
    assert "No peer is trusted" in run(capsys, "peers", "list", "--home", home).out


def test_a_refusal_is_one_line_with_its_exit_code(capsys: pytest.CaptureFixture[str], home: str) -> None:
    run(capsys, "peers", "trust", str(BOB.fingerprint), "--name", "bob", "--home", home)
    refused = [
        (["trust", str(BOB.fingerprint)], 5),
        (["trust", str(ALICE.fingerprint), "--name", "bob"], 5),
        (["trust", str(ALICE.peer_id)], 2),
        (["trust", "alice"], 2),
        (["trust", str(ALICE.fingerprint), "--name", "a b"], 2),
        (["untrust", "alice"], 5),
        (["untrust", str(ALICE.fingerprint)], 5),
    ]
    for words, code in refused:
        outcome = run(capsys, "peers", *words, "--home", home)
        assert outcome.error_line
        assert outcome.code == code, words
    assert run(capsys, "peers", "untrust", "bob", "--home", home).code == 0


def test_a_folder_without_a_node_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outcome = run(capsys, "peers", "list", "--home", str(tmp_path / "typo"))
    assert outcome.code == 7
    assert "shadowmesh id" in outcome.error_line
