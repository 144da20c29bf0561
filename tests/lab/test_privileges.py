"""The lab for a user without root, on a real kernel."""

import subprocess
import sys

import pytest

from shadowmesh.lab import privileges
from shadowmesh.lab.commands import run

pytestmark = pytest.mark.privileged

PING = """
from shadowmesh.lab.errors import Unavailable
from shadowmesh.lab.network import Network
from shadowmesh.lab.privileges import ensure_privileges
try:
    ensure_privileges()
except Unavailable as error:
    raise SystemExit(f"unavailable: {error}")
with Network() as network:
    alice, bob = network.host("alice"), network.host("bob")
    alice.run(["ping", "-c1", "-W1", str(bob.ipv6)])
    print("reached")
"""

SITE = """
from shadowmesh.lab.nat.internet import Internet
from shadowmesh.lab.nat.kind import NatKind
from shadowmesh.lab.network import Network
from shadowmesh.lab.privileges import ensure_privileges
ensure_privileges()
with Network() as network:
    internet = Internet(network)
    server = internet.host("server")
    for kind in (NatKind.SEQUENTIAL, NatKind.FULL_CONE):
        site = internet.site(kind.name.lower().replace("_", "-"), kind)
        site.hosts[0].run(["ping", "-c1", "-W1", str(server.ipv4)])
        print(site.router.conntrack_entries())
"""

# A user who is not root and may use no more than others may, but can still read this checkout.
ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# Its own user has no number there, and such a user is given no further namespaces.
NOBODY_AT_ALL = ("unshare", "--user")


def test_an_ordinary_user_gets_a_lab_or_is_told_why_not() -> None:
    result = python(ORDINARY_USER, PING)
    if user_namespaces_are_allowed():
        assert result.stdout == "reached\n", result.stderr
    else:
        assert result.stderr.startswith("unavailable: no root and no user namespaces: run as root (sudo), or: sysctl")


def test_an_ordinary_user_gets_sites_behind_nat_where_a_lab_is_to_be_had() -> None:
    result = python(ORDINARY_USER, SITE)
    if user_namespaces_are_allowed():
        assert result.stdout == "1\n1\n", result.stderr
    else:
        assert "no root and no user namespaces" in result.stderr


def test_a_user_whom_the_kernel_refuses_is_told_in_one_line() -> None:
    result = python(NOBODY_AT_ALL, PING)
    assert result.stdout == ""
    assert result.stderr.startswith("unavailable: no root and no user namespaces: run as root (sudo)")
    assert len(result.stderr.splitlines()) == 1


def test_the_command_is_not_started_again_and_again() -> None:
    result = python((*ORDINARY_USER, "env", "SHADOWMESH_LAB_USER_NAMESPACE=1"), PING)
    assert result.stderr == "unavailable: not root: run as root (sudo)\n"


def test_root_with_all_privileges_stays_where_it_is() -> None:
    privileges.ensure_privileges()  # a new start would not come back


def python(prefix: tuple[str, ...], script: str) -> subprocess.CompletedProcess[str]:
    return run([*prefix, sys.executable, "-c", script], timeout_s=30, check=False)


def user_namespaces_are_allowed() -> bool:
    return run([*ORDINARY_USER, "unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode == 0
