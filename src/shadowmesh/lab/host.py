"""One machine of the network."""

import itertools
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import IO, TypeVar

from shadowmesh.lab import inspection
from shadowmesh.lab.addresses import Interface
from shadowmesh.lab.commands import DEFAULT_TIMEOUT_S
from shadowmesh.lab.errors import CommandError, LabError, Unavailable
from shadowmesh.lab.impairment import Impairment, kernel_lacks_netem
from shadowmesh.lab.inspection import Counters, Device, Route
from shadowmesh.lab.namespace import Namespace
from shadowmesh.lab.process import Process
from shadowmesh.lab.switch import Switch

AddressT = TypeVar("AddressT", IPv4Address, IPv6Address)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One interface of a host and where its cable ends: at a switch's port, or at another host."""

    interface: str
    mac: str
    addresses: tuple[Interface, ...]
    switch: Switch | None = None
    port: str = ""


class Host:
    """A namespace with interfaces eth0, eth1, ... Made by `Network.host`.

    Methods that take an `interface` mean the first one if none is named.
    """

    def __init__(self, name: str, namespace: Namespace) -> None:
        self.name = name
        self.namespace = namespace
        self.attachments: dict[str, Attachment] = {}

    @property
    def addresses(self) -> tuple[Interface, ...]:
        """The addresses that the lab gave to all interfaces, with their prefix lengths."""
        return tuple(address for attachment in self.attachments.values() for address in attachment.addresses)

    @property
    def ipv4(self) -> IPv4Address:
        """The first IPv4 address. Raises `LabError` if there is none."""
        return self._first(IPv4Address)

    @property
    def ipv6(self) -> IPv6Address:
        """The first IPv6 address. Raises `LabError` if there is none."""
        return self._first(IPv6Address)

    @property
    def processes(self) -> tuple[Process, ...]:
        """All that were started, in order, whether they still run or not."""
        return tuple(self.namespace.processes)

    def attach(self, attachment: Attachment) -> None:
        """Configures an interface that is there already. For `Network`."""
        name = attachment.interface
        lines = [f"link set {name} up"]
        # nodad: an address is usable at once, not after a second of asking who else has it.
        lines += [
            f"address add {address} dev {name}" + (" nodad" if address.version == 6 else "")
            for address in attachment.addresses
        ]
        self.namespace.ip(lines)
        self.attachments[name] = attachment

    def detach(self, interface: str) -> Attachment:
        """Removes an interface with its cable, and returns what it was. Raises `LabError` if there is none."""
        self.clear(interface)
        self.namespace.ip([f"link del {interface}"])
        return self.attachments.pop(interface)

    def renumber(self, interface: str, addresses: tuple[Interface, ...]) -> Attachment:
        """Replaces the addresses of an interface. Routes that needed the old ones are gone."""
        attachment = replace(self._attachment(interface), addresses=addresses)
        self.namespace.ip([f"address flush dev {interface} scope global"])
        self.attach(attachment)
        return attachment

    def free_interface(self) -> str:
        """The name that the next interface gets."""
        names = (f"eth{number}" for number in itertools.count())
        return next(name for name in names if name not in self.attachments)

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program on the host to its end; `env` is added to our environment.

        Raises `Unavailable` if it is not installed, `CommandError` if it takes longer than `timeout_s` or, with
        `check`, exits with anything but 0.
        """
        return self.namespace.run(command, timeout_s=timeout_s, stdin=stdin, env=env, check=check)

    def start(
        self,
        command: Sequence[str],
        *,
        name: str | None = None,
        stdout: int | IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Starts a program on the host; the network ends it at the latest. See `Namespace.start`."""
        return self.namespace.start(command, name=name, stdout=stdout, env=env)

    def enter(self) -> AbstractContextManager[None]:
        """Within the block the calling thread is on this host. See `Namespace.enter`."""
        return self.namespace.enter()

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket of this process on this host. The caller closes it."""
        return self.namespace.socket(family, type)

    def interface_counters(self) -> dict[str, Counters]:
        """What each interface has carried, by name."""
        return inspection.counters(self.namespace.ip_json("-statistics", "link"))

    def devices(self) -> tuple[Device, ...]:
        """All interfaces, lo and those that programs made among them."""
        return inspection.devices(self.namespace.ip_json("link"))

    def routes(self) -> tuple[Route, ...]:
        """The unicast routes of both families and all tables but the kernel's own, sorted."""
        listings = (self.namespace.ip_json(family, "route", "show", "table", "all") for family in ("-4", "-6"))
        return tuple(sorted(route for listing in listings for route in inspection.routes(listing)))

    def impair(
        self,
        *,
        delay_ms: float = 0.0,
        loss_percent: float = 0.0,
        rate_mbit: float | None = None,
        interface: str | None = None,
        both_ways: bool = False,
    ) -> None:
        """Impairs what this host sends, in place of what impaired it before; with `both_ways` what it receives too.

        By netem, or in user space (see `forwarder`) where the kernel has none, and for both ways. The latter needs
        the switch, so for a direct link this then raises `Unavailable`. Raises `LabError` for values that no link
        can have.
        """
        impairment = Impairment(delay_ms, loss_percent, rate_mbit)
        attachment = self._attachment(interface)
        if both_ways:
            self.clear(interface)
            self._impair_in_user_space(attachment, impairment, both_ways=True)
            return
        try:
            self.namespace.tc("qdisc", "replace", "dev", attachment.interface, "root", *impairment.netem())
        except CommandError as error:
            if not kernel_lacks_netem(error):
                raise
            self._impair_in_user_space(attachment, impairment, both_ways=False)

    def clear(self, interface: str | None = None) -> None:
        """Ends what `impair` did; does nothing if it did nothing. Frames under way may arrive early, or be lost."""
        attachment = self._attachment(interface)
        if attachment.switch is not None:
            attachment.switch.clear(attachment.port)
        try:
            self.namespace.tc("qdisc", "del", "dev", attachment.interface, "root")
        except CommandError as error:
            # The kernel's words for an interface that still has its own queue.
            if "handle of zero" not in error.stderr and "No such file" not in error.stderr:
                raise

    def link_down(self, interface: str | None = None) -> None:
        """Pulls the cable. The host keeps its addresses; on a direct link its interface goes down."""
        self._set_link(interface, plugged=False)

    def link_up(self, interface: str | None = None) -> None:
        """Puts the cable back."""
        self._set_link(interface, plugged=True)

    def _set_link(self, interface: str | None, *, plugged: bool) -> None:
        attachment = self._attachment(interface)
        if attachment.switch is not None:
            attachment.switch.set_cable(attachment.port, plugged=plugged)
        else:
            self.namespace.ip([f"link set {attachment.interface} {'up' if plugged else 'down'}"])

    def _impair_in_user_space(self, attachment: Attachment, impairment: Impairment, *, both_ways: bool) -> None:
        if attachment.switch is None:
            reason = "both ways take a switch" if both_ways else "this kernel has no netem"
            raise Unavailable(f"{reason}: a direct link cannot be impaired")
        attachment.switch.impair(attachment.port, impairment, both_ways=both_ways)

    def _attachment(self, interface: str | None) -> Attachment:
        name = interface or next(iter(self.attachments), "")
        if name not in self.attachments:
            raise LabError(f"{self.name} has no interface {name or 'at all'}")
        return self.attachments[name]

    def _first(self, kind: type[AddressT]) -> AddressT:
        for address in self.addresses:
            if isinstance(address.ip, kind):
                return address.ip
        raise LabError(f"{self.name} has no {kind.__name__}")
