"""`shadowmesh backbone`: run a backbone node, and edit the directory of all of them."""

from __future__ import annotations

import json as json_text
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from shadowmesh.backbone.server import Ready
    from shadowmesh.records.directory import SignedDirectory

_PLAIN = Parameter(negative="")  # no --no-json, no --empty-url
app = App(
    name="backbone", help="Run a backbone node: log-in, look-up and STUN for a community.", default_parameter=_PLAIN
)
directory_app = App(
    name="directory", help="Show, make, sign and install the signed list of backbone nodes.", default_parameter=_PLAIN
)
app.command(directory_app)

_EXTRA = ("aiosqlite", "fastapi", "httptools", "prometheus_client", "sqlalchemy", "websockets")
_Data = Annotated[Path, Parameter(help="The data folder: all that has to be kept and backed up.")]


@app.command
def run(
    *,
    data: _Data,
    listen: str = "127.0.0.1:8443",
    url: tuple[str, ...] = (),
    region: str = "europe",
    stun_listen: tuple[str, ...] = (),
    stun_address: tuple[str, ...] = (),
    stun_port: int = 3478,
    stun_port_2: Annotated[int, Parameter(name="--stun-port-2")] = 3479,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    behind_proxy: tuple[str, ...] = (),
    unlimited_from: tuple[str, ...] = (),
    metrics_from: tuple[str, ...] = (),
    json: bool = False,
    json_logs: bool = False,
) -> None:
    """Run a backbone node until SIGTERM or Ctrl-C. Example: shadowmesh backbone run --data ./backbone

    Everything is kept in the data folder; nothing else is needed. /metrics (Prometheus) is on the same address, but
    answers only to loopback and to --metrics-from.

    Parameters
    ----------
    listen
        HOST:PORT; port 0 takes a free one. Without --tls-cert keep it on loopback, behind a proxy that ends TLS.
    url
        How clients reach this node, such as https://eu.example.org. The first one goes into the directory; log-ins
        are accepted for all of them. Default: the address that it listens on.
    region
        europe, north_america, latin_america, asia_pacific, australia, africa or middle_east.
    stun_listen
        IP address to answer STUN on. Default: the host of --listen.
    stun_address
        Public IP address for the directory, where it is not the one that STUN listens on.
    stun_port
        First UDP port of the STUN responder; 0 takes a free one.
    stun_port_2
        Second UDP port: it takes two to tell a node how its NAT maps ports.
    tls_cert
        Certificate chain, PEM.
    tls_key
        Its private key, PEM.
    behind_proxy
        Network (CIDR) of a proxy whose X-Forwarded-For is believed.
    unlimited_from
        Network (CIDR) that is not rate limited by address: one's own monitoring and load tests.
    metrics_from
        Network (CIDR) that may read /metrics besides loopback.
    json
        Print one JSON line when ready, for scripts.
    json_logs
        Log in JSON.
    """
    with _one_line_errors():
        _require_extra()
        from shadowmesh.backbone import server, sockets
        from shadowmesh.backbone.config import BackboneConfig
        from shadowmesh.backbone.directory.description import parse_region, parse_url
        from shadowmesh.backbone.limits.addresses import parse_networks
        from shadowmesh.backbone.logs import set_up_logs

        set_up_logs(json_lines=json_logs)
        host, port = sockets.parse_listen(listen)
        config = BackboneConfig(
            urls=[parse_url(text) for text in url],
            region=parse_region(region),
            behind_proxies=parse_networks(behind_proxy),
            unlimited_from=parse_networks(unlimited_from),
            metrics_from=parse_networks(metrics_from),
            workers=os.cpu_count() or 1,
        )
        options = server.RunOptions(
            data=data,
            host=host,
            port=port,
            config=config,
            tls_certificate=tls_cert,
            tls_key=tls_key,
            stun_hosts=stun_listen or (sockets.first_address(host),),
            stun_ports=(stun_port, stun_port_2),
            stun_addresses=stun_address,
        )
        server.run(options, _print_json if json else _print_block)


@app.command
def node(*, data: _Data, url: str | None = None, region: str | None = None, stun: tuple[str, ...] = ()) -> None:
    """Print this node's signed description, for `directory make` on any backbone node.

    Parameters
    ----------
    url
        In place of the one of the last run.
    region
        In place of the one of the last run.
    stun
        ADDRESS:PORT of the STUN responder, in place of those of the last run.
    """
    with _one_line_errors():
        from shadowmesh.backbone.data_folder import DataFolder
        from shadowmesh.backbone.directory import editing

        print(editing.own_description(DataFolder(data), url=url, region=region, stun=stun).decode(), end="")


@directory_app.command
def show(file: Path | None = None, /, *, data: Path | None = None, json: bool = False) -> None:
    """Show the directory in a file, or the one that is installed in --data."""
    with _one_line_errors():
        from shadowmesh.backbone.data_folder import DataFolder
        from shadowmesh.backbone.directory import editing
        from shadowmesh.backbone.errors import CannotStart

        path = file or (DataFolder(data).directory if data else None)
        if path is None:
            raise CannotStart("name a file or --data")
        _print_directory(editing.load(path), json=json)


@directory_app.command
def make(*nodes: Path, data: _Data, output: Path | None = None, json: bool = False) -> None:
    """Make a new version that lists these nodes (files printed by `backbone node`), signed by this node's key.

    Parameters
    ----------
    output
        Write it there for others to sign. Without it the directory is installed in --data, which this node may do
        alone as long as its key is the majority of the directory before.
    """
    with _one_line_errors():
        from shadowmesh.backbone.data_folder import DataFolder
        from shadowmesh.backbone.directory import editing

        folder = DataFolder(data)
        signed = editing.make(folder, nodes, now=time.time())
        if output is None:
            editing.install_signed(folder, signed, now=time.time(), name="the new directory (see --output)")
        else:
            editing.write(output, signed)
        _print_directory(signed, json=json)


@directory_app.command
def sign(file: Path, /, *, data: _Data, json: bool = False) -> None:
    """Add this node's signature to the file."""
    with _one_line_errors():
        from shadowmesh.backbone.data_folder import DataFolder
        from shadowmesh.backbone.directory import editing

        _print_directory(editing.sign(DataFolder(data), file), json=json)


@directory_app.command
def install(file: Path, /, *, data: _Data, json: bool = False) -> None:
    """Serve the directory in the file. The running node takes it up within seconds.

    It must list this node and be signed by a majority of the nodes in the directory before.
    """
    with _one_line_errors():
        from shadowmesh.backbone.data_folder import DataFolder
        from shadowmesh.backbone.directory import editing

        _print_directory(editing.install(DataFolder(data), file, now=time.time()), json=json)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    from shadowmesh.backbone.errors import CannotStart

    try:
        yield
    except (CannotStart, ValueError) as error:
        print(f"shadowmesh backbone: {error}", file=sys.stderr)
        sys.exit(1)


def _require_extra() -> None:
    from shadowmesh.backbone.errors import CannotStart

    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise CannotStart(f"{', '.join(missing)} is missing: pip install 'shadowmesh[backbone]'")


def _print_json(ready: Ready) -> None:
    line = {"event": "ready", "url": ready.url, "fingerprint": ready.fingerprint, "stun": list(ready.stun)}
    print(json_text.dumps(line), flush=True)


def _print_block(ready: Ready) -> None:
    lines = ["ShadowMesh backbone is ready", f"  url          {ready.url}", f"  fingerprint  {ready.fingerprint}"]
    lines += [f"  stun         {endpoint}" for endpoint in ready.stun]
    print("\n".join(lines), flush=True)


def _print_directory(signed: SignedDirectory, *, json: bool) -> None:
    from shadowmesh.backbone.directory import editing

    summary = editing.summary(signed)
    if json:
        print(json_text.dumps(summary))
        return
    directory = signed.directory
    expires = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(directory.expires_at))
    print(f"version {directory.version}, expires {expires}")
    for listed in directory.nodes:
        print(f"  {listed.fingerprint}  {listed.url}")
