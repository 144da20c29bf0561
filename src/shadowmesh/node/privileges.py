"""What this process may do. Linux."""

from pathlib import Path

_CAP_NET_ADMIN = 12  # linux/capability.h


def missing_tun_privilege() -> str | None:
    """Why this process can't make a TUN device, or None when it probably can (Linux)."""
    if not Path("/dev/net/tun").exists():
        return "this system has no /dev/net/tun"
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    if not int(effective, 16) >> _CAP_NET_ADMIN & 1:
        return "making a network device needs the CAP_NET_ADMIN privilege"
    return None
