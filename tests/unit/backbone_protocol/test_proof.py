import hashlib
import hmac

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shadowmesh.backbone_protocol.proof import Proof
from shadowmesh.wire.errors import DecodeError

_KEY = bytes(range(32))
_PROOF = Proof.make(_KEY, "PUT", "/v1/records?x=1", b"body", issued_at=1_800_000_000, counter=5)


def test_a_proof_proves_its_request() -> None:
    assert _PROOF.proves(_KEY, "PUT", "/v1/records?x=1", b"body")


@pytest.mark.parametrize(
    ("key", "method", "path", "body"),
    [
        (bytes(32), "PUT", "/v1/records?x=1", b"body"),
        (_KEY, "POST", "/v1/records?x=1", b"body"),
        (_KEY, "PUT", "/v1/records?x=2", b"body"),
        (_KEY, "PUT", "/v1/records?x=1", b"other"),
    ],
)
def test_another_key_method_path_or_body_is_not_proved(key: bytes, method: str, path: str, body: bytes) -> None:
    assert not _PROOF.proves(key, method, path, body)


def test_time_and_counter_are_proved_too() -> None:
    assert not Proof(_PROOF.issued_at + 1, _PROOF.counter, _PROOF.mac).proves(_KEY, "PUT", "/v1/records?x=1", b"body")
    assert not Proof(_PROOF.issued_at, _PROOF.counter + 1, _PROOF.mac).proves(_KEY, "PUT", "/v1/records?x=1", b"body")


def test_the_mac_is_the_one_of_the_spec() -> None:
    message = b"shadowmesh/v1/proof\nPUT\n/v1/records?x=1\n1800000000\n5\n" + hashlib.sha256(b"body").digest()
    assert _PROOF.mac == hmac.digest(_KEY, message, "sha256")


@given(st.integers(0, 10**19 - 1), st.integers(0, 10**19 - 1), st.binary(min_size=32, max_size=32))
def test_a_proof_comes_back_from_its_header(issued_at: int, counter: int, mac: bytes) -> None:
    proof = Proof(issued_at, counter, mac)
    assert Proof.parse(proof.header()) == proof
    assert "=" not in proof.header()


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",,",
        "1,2",
        "1,2," + "A" * 42,
        "1,2," + "A" * 44,
        "1,2," + "A" * 43 + ",",
        "-1,2," + "A" * 43,
        "1,+2," + "A" * 43,
        "1 ,2," + "A" * 43,
        "1,2," + "*" * 43,
        "1,2," + "+" * 43,
        "01,2," + "A" * 43,
        "1,2," + "A" * 42 + "B",
        "1,\u0662," + "A" * 43,
        "1,2," + "\u00e9" * 43,
        "1" * 20 + ",2," + "A" * 43,
        "1,2," + "A" * 500,
    ],
)
def test_a_header_that_is_no_proof_is_refused(header: str) -> None:
    with pytest.raises(DecodeError):
        Proof.parse(header)


@given(st.text(max_size=150) | st.from_regex(r"[0-9]{0,25},[0-9]{0,25},[A-Za-z0-9_=-]{40,46}", fullmatch=True))
@example(f"1,2,{'A' * 43}")
def test_any_text_is_a_proof_or_refused(header: str) -> None:
    try:
        proof = Proof.parse(header)
    except DecodeError:
        return
    assert len(proof.mac) == 32
    assert not proof.proves(_KEY, "GET", "/", b"")
