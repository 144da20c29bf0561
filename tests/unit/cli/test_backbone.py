"""The `backbone` commands."""

import json
from pathlib import Path

import pytest

from shadowmesh.backbone.data_folder import DataFolder
from shadowmesh.backbone.directory.service import DirectoryService
from shadowmesh.cli import backbone
from shadowmesh.cli.backbone import app
from shadowmesh.identity import key_file
from shadowmesh.identity.keys import Identity
from shadowmesh.records.directory import BackboneNode, SignedDirectory

PORTS = ["--listen", "127.0.0.1:0", "--stun-port", "0", "--stun-port-2", "0"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--listen", "nonsense"], "HOST:PORT"),
        ([*PORTS, "--region", "atlantis"], "not a region"),
        ([*PORTS, "--url", "ftp://x"], "https://host"),
        ([*PORTS, "--tls-cert", "/nonexistent"], "both"),
        ([*PORTS, "--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"], "/nonexistent"),
        ([*PORTS, "--behind-proxy", "everything"], "everything"),
        ([*PORTS, "--unlimited-from", "10.0.0.1/8"], "10.0.0.1/8"),
        ([*PORTS, "--stun-listen", "203.0.113.77"], "STUN"),
        ([*PORTS, "--stun-address", "name"], "name"),
    ],
)
def test_what_is_wrong_with_an_option_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], part: str
) -> None:
    assert part in failure(capsys, "run", "--data", str(tmp_path), *options)


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be used" in failure(capsys, "run", "--data", str(tmp_path / "file" / "below"), *PORTS)


def test_a_missing_extra_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbone, "find_spec", lambda name: None if name == "fastapi" else object())
    assert "fastapi is missing: pip install 'shadowmesh[backbone]'" in failure(capsys, "run", "--data", str(tmp_path))


def test_two_operators_share_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = {name: operator(tmp_path / name, name) for name in ("one", "two")}
    files = []
    for name, folder in folders.items():
        file = tmp_path / f"{name}.json"
        file.write_text(output(capsys, "node", "--data", str(folder), "--url", f"https://{name}.test"))
        files.append(str(file))
    shared = str(tmp_path / "shared.cose")
    output(capsys, "directory", "make", *files, "--data", str(folders["one"]), "--output", shared)
    output(capsys, "directory", "sign", shared, "--data", str(folders["two"]))
    for folder in folders.values():
        output(capsys, "directory", "install", shared, "--data", str(folder))
        shown = json.loads(output(capsys, "directory", "show", "--data", str(folder), "--json"))
        assert [node["url"] for node in shown["nodes"]] == ["https://one.test", "https://two.test"]
    assert "https://two.test" in output(capsys, "directory", "show", shared)


def test_a_lone_node_makes_and_installs_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = operator(tmp_path / "one", "one")
    (tmp_path / "one.json").write_text(output(capsys, "node", "--data", str(folder), "--url", "https://new.test"))
    output(capsys, "directory", "make", str(tmp_path / "one.json"), "--data", str(folder))
    installed = SignedDirectory.decode(DataFolder(folder).directory.read_bytes())
    assert installed.directory.nodes[0].url == "https://new.test"


@pytest.mark.parametrize("command", [["directory", "show"], ["directory", "show", "none"], ["node", "--data", "none"]])
def test_what_is_missing_is_one_line(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert failure(capsys, *command)


def failure(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        app(command)
    assert exit_.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err


def output(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    app(command, result_action="return_value")
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def operator(path: Path, name: str) -> Path:
    path.mkdir()
    folder = DataFolder(path)
    identity = Identity(name.encode().ljust(32))
    folder.identity.write_bytes(key_file.encode(identity, None, bytes))
    node = BackboneNode(identity.public, 3, f"https://{name}.test", ())
    DirectoryService(folder.directory, identity, node, lambda: 1_790_000_000.0)
    return path
