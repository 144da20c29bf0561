"""A network of hosts that is gone when its block is left."""

import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from shadowmesh.lab import leftovers, signals
from shadowmesh.lab.addresses import AddressPlan, Interface
from shadowmesh.lab.errors import LabError, Unavailable
from shadowmesh.lab.host import Attachment, Host
from shadowmesh.lab.leftovers import GRACE_S
from shadowmesh.lab.namespace import Namespace
from shadowmesh.lab.privileges import missing_privilege
from shadowmesh.lab.switch import Switch

MTU_BYTES = 1500

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_SWITCH = "switch"
_serials = itertools.count()


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two hosts: what each end of it is."""

    near: Attachment
    far: Attachment


class Network:
    """Hosts on one switch, and direct links between them.

    A context manager: within the block SIGTERM and SIGHUP raise `SystemExit` (main thread only), and leaving it in
    whatever way ends all processes and removes all namespaces. If an exception leaves the block, it carries the end
    of each process's log as a note, and the logs stay. With `log_directory` they are written there and always stay.
    """

    def __init__(
        self,
        *,
        ipv4: str = "198.18.0.0/16",
        ipv6: str = "2001:db8::/32",
        mtu: int = MTU_BYTES,
        log_directory: Path | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._plan = AddressPlan(ipv4, ipv6)
        self._mtu = mtu
        self._grace_s = grace_s
        self._log_directory = log_directory
        self._lab = ""
        self._logs = Path()
        self._namespaces: list[Namespace] = []
        self._switch: Switch | None = None
        self._hosts: dict[str, Host] = {}
        self._macs = itertools.count(1)
        self._signals = ExitStack()

    def __enter__(self) -> Self:
        """Makes the switch, after a sweep of what dead labs left.

        Raises `Unavailable` where there are no namespaces to be had, `LabError` if this one was entered before.
        """
        if self._lab:
            raise LabError("a network is entered once")
        if (reason := missing_privilege()) is not None:
            raise Unavailable(reason)
        leftovers.sweep()
        self._lab = _unused_lab()
        self._signals.enter_context(signals.termination_raises())
        try:
            self._logs = self._make_logs()
            switch = Switch(self._namespace(_SWITCH), self._mtu)
            switch.create()
            self._switch = switch
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    @property
    def hosts(self) -> Mapping[str, Host]:
        """All hosts by name, in the order in which they were made."""
        return MappingProxyType(self._hosts)

    def host(self, name: str, *, addresses: Sequence[str] | None = None, on_switch: bool = True) -> Host:
        """Makes a host, on the switch with these addresses ("198.18.7.1/17") or else the next free ones.

        With `on_switch=False` it has lo alone, until `link` gives it an interface. Raises `LabError` for a name or
        an address that is taken.
        """
        if not _HOST_NAME.fullmatch(name) or name == _SWITCH:
            raise LabError(f"{name!r}: a host's name has small letters, digits and hyphens, and is not {_SWITCH!r}")
        if name in self._hosts:
            raise LabError(f"{name} is there already")
        switch = self._open_switch()
        namespace = self._namespace(name)
        namespace.create()
        _prepare(namespace)
        host = Host(name, namespace)
        if on_switch:
            chosen = self._plan.next_on_switch() if addresses is None else self._plan.claim(addresses)
            mac = self.next_mac()
            attachment = Attachment("eth0", mac, chosen, switch, switch.plug_in(namespace, "eth0", mac))
            host.attach(attachment)
            self.introduce(host, attachment)
        self._hosts[name] = host
        return host

    def renumber(self, host: Host, interface: str) -> Attachment:
        """Gives a host's interface on the switch the next free addresses instead of those that it has."""
        attachment = host.renumber(interface, self._plan.next_on_switch())
        self.introduce(host, attachment)
        return attachment

    def introduce(self, host: Host, attachment: Attachment) -> None:
        """Tells a host and all others on the same switch how to reach each other.

        So a lossy link loses no ARP, and no first packet waits for it.
        """
        neighbours = [
            (other, neighbour)
            for other in self._hosts.values()
            for neighbour in other.attachments.values()
            if neighbour.switch is attachment.switch and other is not host
        ]
        for other, neighbour in neighbours:
            _learn(other, neighbour.interface, [attachment])
        _learn(host, attachment.interface, [neighbour for _, neighbour in neighbours])

    def next_mac(self) -> str:
        """A link-layer address that no other interface of the network has."""
        number = next(self._macs)
        return f"02:00:00:00:{number >> 8:02x}:{number & 0xFF:02x}"  # 02: locally administered

    def link(self, near: Host, far: Host, *, mtu: int | None = None) -> Link:
        """Joins two hosts by a veth pair without the switch, with a /30 and a /64 of its own. `mtu` in bytes."""
        self._open_switch()
        mtu = self._mtu if mtu is None else mtu
        near_addresses, far_addresses = self._plan.next_link()
        ends = Link(self._end(near, near_addresses), self._end(far, far_addresses))
        peer = f"peer name {ends.far.interface} address {ends.far.mac} mtu {mtu} netns {far.namespace.name}"
        near.namespace.ip([f"link add {ends.near.interface} address {ends.near.mac} mtu {mtu} type veth {peer}"])
        near.attach(ends.near)
        far.attach(ends.far)
        _learn(near, ends.near.interface, [ends.far])
        _learn(far, ends.far.interface, [ends.near])
        return ends

    def close(self) -> None:
        """Ends all processes and removes all namespaces; does nothing the second time.

        One failure does not keep the rest from being removed; raises `LabError` with all of them at the end.
        """
        failures: list[str] = []
        with signals.postponed():
            namespaces, self._namespaces = self._namespaces, []
            self._switch = None
            if namespaces:
                deadline = time.monotonic() + self._grace_s
                for namespace in namespaces:
                    namespace.terminate_processes()
                for namespace in namespaces:
                    _attempt(failures, partial(namespace.stop_processes, deadline))
                # What left its parent's process group, or was started as we were interrupted.
                _attempt(failures, partial(leftovers.end_processes, self._lab, self._grace_s))
            for namespace in namespaces:
                _attempt(failures, namespace.remove)
        if failures:
            raise LabError("; ".join(failures))

    def _leave(self, error: BaseException | None) -> None:
        processes = [process for namespace in self._namespaces for process in namespace.processes]
        try:
            self.close()
        except LabError as failure:
            if error is None:
                raise
            error.add_note(f"closing the network: {failure}")
        finally:
            self._signals.close()
            if isinstance(error, Exception):
                for process in processes:
                    error.add_note(f"--- {process.log} ({process.describe()})\n{process.tail()}")
            elif self._log_directory is None and self._logs != Path():
                shutil.rmtree(self._logs, ignore_errors=True)

    def _end(self, host: Host, addresses: tuple[Interface, ...]) -> Attachment:
        return Attachment(host.free_interface(), self.next_mac(), addresses)

    def _namespace(self, name: str) -> Namespace:
        namespace = Namespace(f"{self._lab}-{name}", self._lab, self._logs)
        self._namespaces.append(namespace)  # before it is made: an interrupted making is removed too
        return namespace

    def _make_logs(self) -> Path:
        if self._log_directory is None:
            return Path(tempfile.mkdtemp(prefix=f"{self._lab}-"))
        self._log_directory.mkdir(parents=True, exist_ok=True)
        return self._log_directory

    def _open_switch(self) -> Switch:
        if self._switch is None:
            raise LabError("the network is not open: use it within its `with` block")
        return self._switch


def _prepare(namespace: Namespace) -> None:
    for setting in ("all", "default"):
        namespace.sysctl(f"ipv6/conf/{setting}/disable_ipv6", "0")
    namespace.sysctl("ipv6/conf/default/accept_dad", "0")  # an address is usable at once
    namespace.sysctl("ipv6/conf/all/keep_addr_on_down", "1")  # a pulled cable does not change the configuration


def _learn(host: Host, interface: str, neighbours: Sequence[Attachment]) -> None:
    lines = [
        f"neigh replace {address.ip} lladdr {neighbour.mac} dev {interface} nud permanent"
        for neighbour in neighbours
        for address in neighbour.addresses
    ]
    if lines:
        host.namespace.ip(lines)


def _unused_lab() -> str:
    # A dead owner may have had the pid that is ours now, and may have left its namespaces.
    used = {found[0] for name in leftovers.namespaces() if (found := leftovers.owner(name)) is not None}
    candidates = (f"sm-{os.getpid()}-{serial}" for serial in _serials)
    return next(lab for lab in candidates if lab not in used)


def _attempt(failures: list[str], step: Callable[[], None]) -> None:
    try:
        step()
    except (LabError, OSError) as error:
        failures.append(str(error))
