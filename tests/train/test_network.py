"""The address at which the other ranks reach a host, and what is bound to it."""

import contextlib
import os
import socket
from datetime import timedelta

import pytest
import torch.distributed
from torch.distributed import TCPStore

from sentispark.train import network
from sentispark.train.network import gloo_at, interface_of, nccl_at, open_store, own_address, resolved, source_toward
from tests.helpers.ranks import all_well, run_ranks

DEBIAN = {"lo": ["127.0.0.1", "::1"], "eth0": ["10.0.0.5", "fd00::5", "fe80::5%eth0"], "eth1": ["192.168.1.5"]}
OTHERS = ["10.0.0.5", "10.0.0.6"]


def own(known_as, peers, names=None, source=None, interfaces=DEBIAN):
    return own_address(
        known_as, peers, interfaces, resolve=lambda name: (names or {}).get(name, [name]), toward=lambda host: source
    )


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.5", "fd00::5"])
def test_an_address_that_spark_knows_and_the_host_has_is_used(address):
    assert own(address, [address, "10.0.0.6"], source="10.0.0.5") == address


@pytest.mark.parametrize("leads_to", [["127.0.1.1"], ["127.0.0.1"], ["::1"], [], ["203.0.113.7"]])
def test_for_a_name_that_resolves_to_the_loopback_or_not_at_all_the_address_toward_the_others_is_used(leads_to):
    assert own("a", ["a", "b"], {"a": leads_to}, source="10.0.0.5") == "10.0.0.5"


def test_a_name_that_resolves_to_an_address_of_the_host_gives_that_address():
    assert own("a", ["a", "b"], {"a": ["127.0.1.1", "192.168.1.5"]}, source="10.0.0.5") == "192.168.1.5"


@pytest.mark.parametrize("source", [None, "127.0.0.1", "203.0.113.7"])
def test_if_the_address_is_unknown_the_choice_is_left_to_torch(source):
    assert own("a", ["a", "b"], {"a": ["127.0.1.1"]}, source=source) is None


@pytest.mark.parametrize("known_as", ["127.0.0.1", "127.0.1.1", "localhost", "a", "203.0.113.7"])
def test_ranks_on_one_host_meet_on_its_loopback_if_its_name_resolves_to_nothing_else(known_as):
    names = {"localhost": ["127.0.0.1"], "a": []}
    assert own(known_as, [known_as] * 2, names) in ("127.0.0.1", "127.0.1.1")


def test_interfaces_are_found_by_their_address():
    assert interface_of("192.168.1.5", DEBIAN) == "eth1"
    assert interface_of("fe80::5", DEBIAN) == "eth0"
    assert interface_of("FD00:0::5", DEBIAN) == "eth0"
    assert interface_of("127.0.1.1", DEBIAN) == "lo"
    assert interface_of("10.0.0.6", DEBIAN) is None
    assert interface_of("host", DEBIAN) is None


def test_names_are_resolved_and_unknown_ones_have_no_address():
    assert "127.0.0.1" in resolved("localhost") + resolved("127.0.0.1")
    assert resolved("no.such.host.invalid") == []
    assert source_toward("127.0.0.1") == "127.0.0.1"
    assert source_toward("no.such.host.invalid") is None


class TestNccl:
    """The variable with NCCL's interface is set only while NCCL connects."""

    def test_its_interface_is_set_and_the_variable_is_removed_afterwards(self):
        environ = {}
        with contextlib.suppress(ZeroDivisionError), nccl_at("192.168.1.5", DEBIAN, environ):
            assert environ == {"NCCL_SOCKET_IFNAME": "=eth1"}
            raise ZeroDivisionError
        assert environ == {}

    def test_an_interface_that_the_user_has_named_is_not_changed(self):
        environ = {"NCCL_SOCKET_IFNAME": "ib0"}
        with nccl_at("10.0.0.5", DEBIAN, environ):
            assert environ == {"NCCL_SOCKET_IFNAME": "ib0"}
        assert environ == {"NCCL_SOCKET_IFNAME": "ib0"}

    @pytest.mark.parametrize("address", [None, "127.0.0.1", "10.9.9.9"])
    def test_on_one_host_or_without_an_interface_nccl_chooses(self, address):
        environ = {}
        with nccl_at(address, DEBIAN, environ):
            assert environ == {}


class TestStore:
    """The store listens at one address only, with every version of torch."""

    def reach(self, address):
        store = open_store(address, timedelta(seconds=10))
        store.set("a", "1")
        assert TCPStore(address, store.port, is_master=False).get("a") == b"1"
        return store

    def test_it_does_not_listen_on_other_addresses_of_the_host(self):
        store = self.reach("127.0.0.1")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", store.port), timeout=5)

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
    def test_an_address_of_ipv6(self):
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no loopback of IPv6")
        self.reach("::1")

    def test_a_torch_whose_default_store_takes_no_socket_uses_the_other_one(self, monkeypatch):
        asked = []

        def old(host, port, *, use_libuv=True, **options):
            asked.append(use_libuv)
            if use_libuv:
                raise RuntimeError("The libuv store does not take master_listen_fd.")
            return TCPStore(host, port, use_libuv=use_libuv, **options)

        monkeypatch.setattr(network, "TCPStore", old)
        self.reach("127.0.0.1")
        assert asked == [True, False]

    def test_a_store_that_cannot_be_opened_reports_why(self, monkeypatch):
        def refuse(*_, **__):
            raise RuntimeError("no")

        monkeypatch.setattr(network, "TCPStore", refuse)
        with pytest.raises(RuntimeError, match="no"):
            open_store("127.0.0.1", timedelta(seconds=1))


def seen_by_gloo(world):
    with world.joined():
        return torch.distributed.get_backend(), world.gathered(torch.ones(1).numpy()).tolist(), dict(os.environ)


@pytest.mark.distributed
@pytest.mark.parametrize("address", [None, "127.0.0.1", "127.0.0.3"])
def test_ranks_connect_at_the_address_that_they_were_given(address):
    outcomes = all_well(run_ranks(seen_by_gloo, 2, address=address))
    for backend, gathered, environ in outcomes:
        assert gathered == [[1.0], [1.0]]
        assert backend == ("gloo" if address is None else f"sentispark_gloo_{address.replace('.', '_')}")
        assert not {"GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"} & environ.keys()


def test_the_next_fit_in_a_process_finds_the_backend_of_the_last_one(monkeypatch):
    register, names = torch.distributed.Backend.register_backend, []

    def old(name, *arguments, **options):
        assert name not in names, f"{name} c10d backend already exist"  # as torch 2.4 says it
        names.append(name)
        register(name, *arguments, **options)

    monkeypatch.setattr(torch.distributed.Backend, "register_backend", old)
    found = [gloo_at(address, {}) for address in ("127.0.0.9", "127.0.0.9", "fe80::1", "127.0.0.9", "fe80::1")]
    assert found == ["sentispark_gloo_127_0_0_9"] * 2 + ["sentispark_gloo_fe80__1", found[0], found[2]]


def test_gloo_uses_an_interface_that_the_user_has_named():
    assert gloo_at("10.0.0.5", {"GLOO_SOCKET_IFNAME": "eth1"}) == "gloo"
    assert gloo_at(None, {}) == "gloo"
