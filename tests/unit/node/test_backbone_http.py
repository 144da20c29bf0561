import socket
from pathlib import Path

import msgspec
import pytest
from tests.unit.node.http_server import answering, http, self_signed

from shadowmesh.backbone_protocol.problems import PROBLEM_MEDIA_TYPE, Problem
from shadowmesh.backbone_protocol.queries import ErrorReply
from shadowmesh.node import backbone_http
from shadowmesh.node.backbone_http import BackboneHttp, BackboneRefused, authority_of


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://EU.example.org", "eu.example.org"),
        ("https://eu.example.org:443", "eu.example.org"),
        ("https://eu.example.org:80", "eu.example.org:80"),
        ("http://eu.example.org:80", "eu.example.org"),
        ("http://[2001:DB8::1]:8443", "[2001:db8::1]:8443"),
    ],
)
def test_the_authority_is_host_and_a_port_that_is_not_the_schemes_own(url: str, authority: str) -> None:
    assert authority_of(url) == authority


async def test_an_answer_is_given_back() -> None:
    async with answering(http("200 OK", b"hello")) as url:
        assert (await _get(url)).body == b"hello"


async def test_an_answer_of_just_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    async with answering(http("200 OK", bytes(100))) as url:
        assert len((await _get(url, max_bytes=100)).body) == 100
        with pytest.raises(BackboneRefused, match="more than 99 bytes"):
            await _get(url, max_bytes=99)


async def test_an_endless_answer_is_cut_off() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2_000_000)
    async with answering(endless, then_wait=True) as url:
        with pytest.raises(BackboneRefused, match="more than 1000 bytes"):
            await _get(url, max_bytes=1000)


async def test_silence_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_http, "REQUEST_TIMEOUT_S", 0.05)
    async with answering(b"", then_wait=True) as url:
        with pytest.raises(BackboneRefused, match="no answer in time"):
            await _get(url)


async def test_a_problem_is_recognised_and_says_when_to_come_back() -> None:
    problem = Problem.RATE_LIMITED
    body = msgspec.json.encode(ErrorReply(problem.urn, problem.title, problem.status, "slow down"))
    async with answering(http("429 Too Many Requests", body, Content_Type=PROBLEM_MEDIA_TYPE, Retry_After="7")) as url:
        with pytest.raises(BackboneRefused) as caught:
            await _get(url)
    assert caught.value.problem is Problem.RATE_LIMITED
    assert caught.value.detail == "slow down"
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    "answer",
    [
        http("502 Bad Gateway", b"<html>", Content_Type="text/html"),
        http("500 Oops", b"\xff{", Content_Type=PROBLEM_MEDIA_TYPE),
        http("500 Oops", bytes(5000), Content_Type=PROBLEM_MEDIA_TYPE),
        http("301 Moved", Location="https://elsewhere.example"),
        b"nonsense\r\n\r\n",
        b"",
        http("503 Busy", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
        http("503 Busy", Retry_After="9" * 50),
    ],
)
async def test_what_no_backbone_says_is_no_problem_of_the_protocols(answer: bytes) -> None:
    async with answering(answer) as url:
        with pytest.raises(BackboneRefused) as caught:
            await _get(url)
    assert caught.value.problem is None
    assert caught.value.retry_after_s is None
    assert "\n" not in caught.value.detail


async def test_a_port_without_a_server_is_one_clear_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(BackboneRefused, match="can't connect"):
            await _get(f"http://127.0.0.1:{free.getsockname()[1]}")


async def test_a_wrong_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneRefused, match=r"missing\.pem"):
        BackboneHttp("https://backbone.test", str(tmp_path / "missing.pem"))


async def test_tls_is_checked_against_the_authorities_that_the_owner_chose(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    async with answering(http("200 OK", b"hello"), tls=certificate) as url:
        with pytest.raises(BackboneRefused, match="TLS certificate is not accepted") as caught:
            await _get(url)
        assert caught.value.problem is None
        assert (await _get(url, ca_file=str(certificate))).body == b"hello"


async def _get(url: str, *, max_bytes: int = 1000, ca_file: str = "") -> backbone_http.Answer:
    client = BackboneHttp(url, ca_file)
    try:
        return await client.request("GET", "/x", max_bytes=max_bytes)
    finally:
        await client.close()
