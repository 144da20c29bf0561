from pathlib import Path

import pytest
from tests.unit.identity.people import ALICE, BOB

from shadowmesh.control.home import Home
from shadowmesh.node import settings
from shadowmesh.node.errors import BadSettings, HomeUnusable
from shadowmesh.node.settings import Settings
from shadowmesh.records.peer_record import Mode
from shadowmesh.records.region import Region

PIN = f"https://eu.example.org#{ALICE.fingerprint}"


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    loaded = settings.load(Home(tmp_path))
    assert loaded == Settings()
    assert loaded.tun_device == "shadowmesh%d"
    assert loaded.mesh_config().mode is Mode.PRIVATE


def test_the_file_says_what_the_node_is(tmp_path: Path) -> None:
    config = _home(tmp_path, 'mode = "public"\nregion = "europe"\ntun = "none"\nport = 7')
    loaded = settings.load(config)
    assert loaded.mesh_config().mode is Mode.PUBLIC
    assert loaded.mesh_config().region == Region.EUROPE
    assert loaded.tun_device is None
    assert loaded.port == 7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = 70000", "port"),
        ('mode = "both"', "mode"),
        ("prot = 1", "prot"),
        ('region = "atlantis"', "atlantis"),
        ('tun = "a name"', "tun"),
        ('[[backbone]]\nurl = "https://x"', "fingerprint"),
        ('[[backbone]]\nurl = "ftp://x"\nfingerprint = "sm1"', "ftp://x"),
        ("port = = 1", "line 1"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(BadSettings) as caught:
        settings.load(_home(tmp_path, text))
    assert named in caught.value.problem
    assert "config.toml" in caught.value.problem
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match="UTF-8"):
        settings.load(home)


def test_an_unreadable_file_is_one_clear_line(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.mkdir()
    with pytest.raises(HomeUnusable, match="can't be read"):
        settings.load(home)


def test_options_go_before_the_file(tmp_path: Path) -> None:
    loaded = settings.load(_home(tmp_path, 'mode = "public"\nport = 7'))
    changed = settings.override(loaded, mode=None, port=0, region="australia", tun="none")
    assert (changed.mode, changed.port, changed.region, changed.tun) == ("public", 0, "australia", "none")


@pytest.mark.parametrize("option", [{"port": -1}, {"tun": "x" * 16}, {"region": "moon"}])
def test_a_wrong_option_is_refused(option: dict[str, str | int]) -> None:
    with pytest.raises(BadSettings):
        settings.override(Settings(), **option)


def test_a_pinned_backbone_is_kept_beside_what_its_owner_wrote(tmp_path: Path) -> None:
    home = _home(tmp_path, '# mine\nregion = "europe"')
    settings.add_backbones(home, [PIN])
    settings.add_backbones(home, [PIN, f"http://[::1]:8443/#{BOB.fingerprint}"])
    loaded = settings.load(home)
    assert [backbone.url for backbone in loaded.backbone] == ["https://eu.example.org", "http://[::1]:8443"]
    assert [pin.fingerprint for pin in loaded.mesh_config().backbones] == [ALICE.fingerprint, BOB.fingerprint]
    assert home.config.read_text().startswith('# mine\nregion = "europe"\n')
    assert home.config.stat().st_mode & 0o777 == 0o600


def test_a_second_fingerprint_for_a_url_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    home = Home(tmp_path)
    settings.add_backbones(home, [PIN])
    before = home.config.read_bytes()
    with pytest.raises(BadSettings, match="pinned with another fingerprint"):
        settings.add_backbones(home, [f"https://eu.example.org#{BOB.fingerprint}"])
    assert home.config.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "https://eu.example.org",
        "https://eu.example.org#sm1wrong",
        f"eu.example.org#{ALICE.fingerprint}",
        f"https://#{ALICE.fingerprint}",
        f"https://a/b#{ALICE.fingerprint}",
        f"https://a?b#{ALICE.fingerprint}",
        f"https://user@a#{ALICE.fingerprint}",
        f"https://a:99999#{ALICE.fingerprint}",
        f'https://a"#{ALICE.fingerprint}',
        f"https://a#{ALICE.peer_id}",
    ],
)
def test_a_malformed_pin_is_refused(text: str) -> None:
    with pytest.raises(BadSettings):
        settings.parse_backbone(text)


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("https://eu.example.org", False),
        ("http://eu.example.org", True),
        ("http://192.0.2.1:8443", True),
        ("http://[2001:db8::1]", True),
        ("http://127.0.0.1:8443", False),
        ("http://[::1]:8443", False),
        ("http://localhost", False),
    ],
)
def test_a_link_without_tls_that_leaves_this_host_is_named(url: str, is_open: bool) -> None:
    config = settings.Settings(backbone=[settings.Backbone(url, str(ALICE.fingerprint))])
    assert config.open_to_listeners() == ([url] if is_open else [])


def test_there_is_a_limit_to_backbones(tmp_path: Path) -> None:
    pins = [f"https://b{number}.example.org#{ALICE.fingerprint}" for number in range(settings.MAX_BACKBONES + 1)]
    with pytest.raises(BadSettings, match="more than"):
        settings.add_backbones(Home(tmp_path), pins)


def _home(folder: Path, text: str) -> Home:
    home = Home(folder)
    home.config.write_text(text)
    return home
