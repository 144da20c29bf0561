"""Why a node can't start, or must stop.

shadowmesh.control.errors.ShadowMeshError
├── HomeInUse              another process has the home folder's lock
├── HomeUnusable           the folder, or a file in it, can't be read or written
├── BadSettings            config.toml, or an option, is wrong; the text names the key
├── IdentityProblem        the key file is missing, damaged or sealed
├── PrivilegeMissing       no permission for the TUN device
└── NodeFailed             the engine refused to start, or failed while running
"""

from __future__ import annotations

from shadowmesh.control.errors import ErrorCode, ShadowMeshError


class HomeInUse(ShadowMeshError):
    def __init__(self, folder: str, pid: str) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(
            ErrorCode.ALREADY_RUNNING, f"{holder} uses {folder}", "stop it with `shadowmesh down`, or choose --home"
        )


class HomeUnusable(ShadowMeshError):
    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(ErrorCode.CONFIGURATION, problem, remedy)


class BadSettings(ShadowMeshError):
    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(ErrorCode.CONFIGURATION, problem, remedy)


class IdentityProblem(ShadowMeshError):
    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(ErrorCode.IDENTITY, problem, remedy)


class PrivilegeMissing(ShadowMeshError):
    def __init__(self, problem: str) -> None:
        super().__init__(
            ErrorCode.PRIVILEGE,
            problem,
            "run as root, grant CAP_NET_ADMIN (systemd AmbientCapabilities=, or setcap), or use --tun none",
        )


class NodeFailed(ShadowMeshError):
    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(ErrorCode.FAILED, problem, remedy)
