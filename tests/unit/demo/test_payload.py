import hashlib
from pathlib import Path

from shadowmesh.demo.payload import write_payload

MIB = 1 << 20


def test_the_returned_hash_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert write_payload(file, 3 * MIB + 17) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_file_has_the_size_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_payload(file, 2 * MIB + 5)
    assert file.stat().st_size == 2 * MIB + 5


def test_no_two_blocks_are_equal(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_payload(file, 3 * MIB)
    data = file.read_bytes()
    assert len({data[offset : offset + MIB] for offset in range(0, 3 * MIB, MIB)}) == 3
