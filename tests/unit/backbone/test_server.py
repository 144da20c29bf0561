"""The real process: started, used over TLS, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.backbone.client import Client, OverHttp, record_of

from shadowmesh.backbone_protocol.updates import MAX_MESSAGE_BYTES, Subscribe, Update, decode_server_message, encode
from shadowmesh.identity.names import Fingerprint
from shadowmesh.records.directory import SignedDirectory
from shadowmesh.wire import stun
from shadowmesh.wire.endpoint import Endpoint

COMMAND = [sys.executable, "-c", "from shadowmesh.cli.backbone import app; app()"]
PORTS = ["--listen", "127.0.0.1:0", "--stun-port", "0", "--stun-port-2", "0"]


async def test_a_whole_life_over_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    options = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with process(tmp_path / "data", *options) as (running, ready):
        assert ready["url"].startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(certificate))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            client = Client(OverHttp(session, ready["url"]), authority=ready["url"].removeprefix("https://"))
            reply = await client.login()
            directory = SignedDirectory.decode((await client.send("GET", "/v1/directory")).body)
            directory.accept([Fingerprint.parse(ready["fingerprint"])], now=time.time())
            assert reply.directory_version == directory.directory.version
            record = record_of(client.identity, issued_at=int(time.time()))
            await client.publish(record)
            await client.renew()
            assert (await client.look_up(client.peer)).record == record.encoded
            async with session.ws_connect(ready["url"] + "/v1/updates", headers=client.upgrade) as updates:
                await updates.send_bytes(encode(Subscribe([client.peer.raw])))
                assert isinstance(decode_server_message(await updates.receive_bytes()), Update)
                await updates.send_bytes(bytes(MAX_MESSAGE_BYTES + 1))
                message = await updates.receive()
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)
            for endpoint in ready["stun"]:
                assert ask_stun(Endpoint.parse(endpoint)).address == ip_address("127.0.0.1")
            open_socket = await session.ws_connect(ready["url"] + "/v1/updates", headers=client.upgrade)
            begun = time.monotonic()
            running.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.wait, 5) == 0
            assert time.monotonic() - begun < 2
            await open_socket.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_with_code_0_and_says_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path) as (running, _):
        running.send_signal(number)
        _, errors = running.communicate(timeout=5)
        assert (running.returncode, errors) == (0, b"")


async def test_killed_it_starts_again_with_identity_records_and_tokens(tmp_path: Path) -> None:
    with process(tmp_path) as (running, before):
        async with aiohttp.ClientSession() as session:
            client = Client(OverHttp(session, before["url"]), authority=before["url"].removeprefix("http://"))
            await client.login()
            record = record_of(client.identity, issued_at=int(time.time()))
            await client.publish(record)
        running.kill()
        running.wait(5)
    with process(tmp_path) as (_, after):
        assert after["fingerprint"] == before["fingerprint"]
        async with aiohttp.ClientSession() as session:
            client.transport = OverHttp(session, after["url"])
            assert (await client.look_up(client.peer)).record == record.encoded
            await client.renew()


def test_a_second_process_on_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    with process(tmp_path):
        assert "another backbone process" in failure("--data", str(tmp_path), *PORTS)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with process(tmp_path / "first") as (_, ready):
        address = ready["url"].removeprefix("http://")
        line = failure("--data", str(tmp_path / "second"), "--listen", address)
        assert "Address already in use" in line


@contextmanager
def process(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    command = [*COMMAND, "run", "--data", str(data), *PORTS, "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line, running.stderr and running.stderr.read().decode()
            ready = json.loads(line)
            assert ready["event"] == "ready"
            yield running, ready
        finally:
            if running.poll() is None:
                running.kill()
            running.wait(5)


def failure(*options: str) -> str:
    """The one line on stderr of a run that exits with code 1."""
    done = subprocess.run(
        [*COMMAND, "run", *options], capture_output=True, text=True, timeout=20, check=False, env=environment()
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def ask_stun(server: Endpoint) -> Endpoint:

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(5)
        own.sendto(stun.encode_binding_request(b"transaction!"), server.pair)
        mapped = stun.decode(own.recv(100)).mapped
        assert mapped == Endpoint.of("127.0.0.1", own.getsockname()[1])
        return mapped


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backbone test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
