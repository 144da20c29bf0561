import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowmesh.paths.lan.announcement import Announcement
from shadowmesh.wire.errors import DecodeError

VECTORS = json.loads(Path("docs/spec/vectors/lan.json").read_text())

announcements = st.builds(
    Announcement,
    st.integers(1, 65535),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 8).flatmap(
        lambda groups: st.lists(st.binary(min_size=8, max_size=8), min_size=groups * 8, max_size=groups * 8).map(tuple)
    ),
)


@given(announcements)
def test_what_was_encoded_is_decoded(announcement: Announcement) -> None:
    assert Announcement.decode(announcement.encode()) == announcement


@given(st.binary(max_size=600))
def test_random_bytes_are_refused_or_mean_what_they_say(data: bytes) -> None:
    try:
        announcement = Announcement.decode(data)
    except DecodeError:
        return
    assert announcement.encode() == data


def test_the_vector_is_read() -> None:
    announcement = Announcement.decode(bytes.fromhex(VECTORS["announcement"]["datagram"]))
    assert announcement.port == VECTORS["announcement"]["port"]
    assert announcement.nonce.hex() == VECTORS["nonce"]
    assert {listener["tag"] for listener in VECTORS["listeners"]} < {tag.hex() for tag in announcement.tags}


@pytest.mark.parametrize("case", VECTORS["announcements_refused"], ids=lambda case: case["name"])
def test_what_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(DecodeError):
        Announcement.decode(bytes.fromhex(case["datagram"]))
