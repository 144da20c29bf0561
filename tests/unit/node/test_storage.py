import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.identity.people import ALICE, BOB
from tests.unit.node.homes import fingerprint, record_of, storage_in

from shadowmesh.control.home import Home
from shadowmesh.mesh.state import SavedState, TrustedPeer
from shadowmesh.node.errors import HomeUnusable
from shadowmesh.node.storage import Storage

KILLS = 4  # each a process start


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    record = record_of(ALICE)
    state = SavedState(trusted=(TrustedPeer(ALICE.fingerprint, "alice"),), record_sequence=12, directory=b"signed")
    storage = storage_in(tmp_path)
    storage.save(state)
    storage.save_record(record)
    loaded = storage_in(tmp_path).load()
    assert loaded == SavedState(state.trusted, (), 12, b"signed", (record,))


def test_an_empty_folder_is_an_empty_state(tmp_path: Path) -> None:
    assert storage_in(tmp_path).load() == SavedState()


def test_files_are_private(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    storage.save(SavedState())
    storage.save_record(record_of(ALICE))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]


def test_records_of_strangers_are_deleted(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    storage.save(SavedState(trusted=(TrustedPeer(ALICE.fingerprint),)))
    storage.save_record(record_of(BOB))
    assert storage.load().records == ()
    assert list(Home(tmp_path).records.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 100, b"[" * 10_000])
def test_a_damaged_state_file_is_set_aside_and_reported_once(tmp_path: Path, damage: bytes) -> None:
    home, lines = Home(tmp_path), list[str]()
    storage = Storage(home, lines.append)
    home.state.write_bytes(damage)
    assert storage.load() == SavedState()
    assert storage.load() == SavedState()
    assert len(lines) == 1
    assert str(home.state) in lines[0]
    assert "\n" not in lines[0]
    assert (tmp_path / "state.json.damaged").read_bytes() == damage


def test_a_damaged_record_does_not_harm_the_others(tmp_path: Path) -> None:
    home, lines = Home(tmp_path), list[str]()
    storage = Storage(home, lines.append)
    storage.save(SavedState(trusted=(TrustedPeer(ALICE.fingerprint), TrustedPeer(BOB.fingerprint))))
    storage.save_record(record_of(ALICE))
    storage.save_record(record_of(BOB))
    path = home.records / f"{ALICE.peer_id}.record"
    path.write_bytes(path.read_bytes()[:-1])
    assert [record.peer_id for record in storage.load().records] == [BOB.peer_id]
    assert len(lines) == 1


def test_a_record_under_another_peers_name_is_not_used(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    storage.save(SavedState(trusted=(TrustedPeer(ALICE.fingerprint), TrustedPeer(BOB.fingerprint))))
    (Home(tmp_path).records / f"{ALICE.peer_id}.record").write_bytes(record_of(BOB).encoded)
    assert storage.load().records == ()


def test_a_backbone_key_comes_back_only_for_its_own_fingerprint(tmp_path: Path) -> None:
    home, lines = Home(tmp_path), list[str]()
    storage = Storage(home, lines.append)
    storage.save_backbone_key(ALICE.public)
    assert storage.backbone_key(ALICE.fingerprint) == ALICE.public
    assert storage.backbone_key(BOB.fingerprint) is None
    (home.backbone_keys / f"{BOB.fingerprint}.key").write_bytes(ALICE.public.public_key)
    assert storage.backbone_key(BOB.fingerprint) is None
    assert len(lines) == 1


def test_a_disk_that_refuses_is_one_clear_line(tmp_path: Path) -> None:
    home = Home(tmp_path)
    storage = storage_in(tmp_path)
    home.state.mkdir()
    with pytest.raises(HomeUnusable, match=r"state\.json can't be written"):
        storage.save(SavedState())


def test_a_node_that_is_killed_while_it_saves_keeps_the_old_or_the_new_trust_list(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from shadowmesh.mesh.state import SavedState, TrustedPeer;"
        "from tests.unit.node.homes import storage_in, fingerprint\n"
        "storage = storage_in(Path(sys.argv[1]))\n"
        "for number in range(1, 1_000_000):\n"
        "    storage.save(SavedState(trusted=(TrustedPeer(fingerprint(number)),), record_sequence=number))\n"
        "    print(number, flush=True)"
    )
    for kill in range(KILLS):
        saver = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert saver.stdout is not None
        for _ in range(3 + 7 * kill):
            saver.stdout.readline()
        os.kill(saver.pid, signal.SIGKILL)
        saver.wait()
        acknowledged = _last_line(saver.stdout.read(), 3 + 7 * kill)
        saver.stdout.close()
        loaded = storage_in(tmp_path).load()
        assert loaded.record_sequence in (acknowledged, acknowledged + 1)
        assert loaded.trusted == (TrustedPeer(fingerprint(loaded.record_sequence)),)


def _last_line(rest: str, read_before: int) -> int:
    complete = [line for line in rest.split("\n")[:-1] if line]
    return int(complete[-1]) if complete else read_before
