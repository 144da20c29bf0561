"""Tells what is missing for a lab, and gets it where the kernel gives it to everyone."""

import os
import shutil
import sys
from pathlib import Path

from shadowmesh.lab.commands import not_installed, run
from shadowmesh.lab.errors import LabError, Unavailable

TUN = Path("/dev/net/tun")

_ENTERED = "SHADOWMESH_LAB_USER_NAMESPACE"
_USER_NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--mount")

# `ip netns` keeps its names in /run/netns, which only root can write to; a private /run is ours. The directory of
# XDG_RUNTIME_DIR was in it. lo is down in a new namespace.
_PREPARE = (
    "mount -t tmpfs tmpfs /run && ip link set lo up"
    ' && { [ -z "$XDG_RUNTIME_DIR" ] || mkdir -p -m 700 "$XDG_RUNTIME_DIR"; }'
)

# Setting, the value that forbids, the value that allows; the first that forbids is the one to name.
_SETTINGS = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "10000"),
)


def missing_privilege() -> str | None:
    """Why this process cannot make network namespaces, in one line, or None if it can. Takes milliseconds."""
    return _missing_program() or _missing_root()


def ensure_privileges() -> None:
    """Returns if this process can make network namespaces; else starts the same command again where it can.

    That is a user namespace of its own, in which the user is root: no network but lo, an empty /run. The command
    then starts from its beginning, so call this first. Raises `Unavailable` with what to do if the kernel does not
    allow it either.
    """
    if (reason := _missing_program()) is not None:
        raise Unavailable(reason)
    if (reason := _missing_root()) is None:
        return
    if os.environ.get(_ENTERED):
        raise Unavailable(reason)
    if not _works([*_USER_NAMESPACE, "sh", "-c", _PREPARE]):
        raise Unavailable(f"no root and no user namespaces: {advice()}")
    again = [sys.executable, *sys.orig_argv[1:]]
    command = [*_USER_NAMESPACE, "sh", "-c", f'{_PREPARE} && exec "$@"', "sh", *again]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execvpe(command[0], command, {**os.environ, _ENTERED: "1"})  # noqa: S606 - no shell sees our arguments


def require_tun(path: Path = TUN) -> None:
    """Raises `Unavailable` with what to do if this process cannot open the TUN device."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise Unavailable(f"no {path}: modprobe tun, or give it to the container (--device {path})") from None
    except PermissionError:
        raise Unavailable(f"{path} is not open to this user: run as root, or chmod 0666 {path}") from None
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}: the kernel may have no TUN") from None


def advice(settings: Path = Path("/proc/sys")) -> str:
    """What a person can do to be allowed: become root, or change the setting that forbids user namespaces."""
    for name, forbids, allows in _SETTINGS:
        path = settings / name.replace(".", "/")
        if path.is_file() and path.read_text().strip() == forbids:
            return f"run as root (sudo), or: sysctl {name}={allows}"
    return "run as root (sudo)"


def _missing_program() -> str | None:
    return next((not_installed(program) for program in ("ip", "unshare") if shutil.which(program) is None), None)


def _missing_root() -> str | None:
    if os.geteuid() != 0:
        return "not root: run as root (sudo)"
    # Trying tells more than the capabilities: a container's seccomp filter can forbid it too.
    if not _works(["unshare", "--net", "--mount", "true"]):
        return "root, but without CAP_SYS_ADMIN: run outside the container, or start it with --privileged"
    names = next(path for path in (Path("/run/netns"), Path("/run"), Path("/")) if path.is_dir())
    if not os.access(names, os.W_OK):
        return f"root, but {names} is not writable: run as root outside the user namespace"
    return None


def _works(command: list[str]) -> bool:
    try:
        run(command)
    except LabError:
        return False
    return True
