"""Events over a socket from a rank to the driver."""

import contextlib
import queue
import socket
import threading
import time

import pytest

from sentispark.cluster import progress
from sentispark.cluster.progress import Address, listening, sending

HOST = "127.0.0.1"
SECONDS = 10.0


@pytest.fixture
def arrived():
    """The events that reached the driver, in order."""
    return queue.Queue()


def test_events_arrive_in_order(arrived):
    with listening(arrived.put, host=HOST, bind=HOST) as address, sending(address) as send:
        for step in range(5):
            send({"kind": "progress", "step": step})
        assert [arrived.get(timeout=SECONDS)["step"] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_events_sent_before_the_rank_left_have_arrived_when_listening_ends(arrived):
    with listening(arrived.put, host=HOST, bind=HOST) as address, sending(address) as send:
        send({"step": 0})
        arrived.get(timeout=SECONDS)  # the driver knows the rank
        for step in range(1, 500):
            send({"step": step})
    assert arrived.qsize() == 499


def test_events_arrive_unchanged(arrived):
    event = {"kind": "epoch", "epoch": 1, "validation": {"roc_auc": 0.5, "f1": {"macro": None}}, "text": "é\n\u2028"}
    with listening(arrived.put, host=HOST, bind=HOST) as address, sending(address) as send:
        send(event)
        assert arrived.get(timeout=SECONDS) == event


def test_two_fits_at_once_receive_only_their_own_events(arrived):
    other = queue.Queue()
    with listening(arrived.put, host=HOST, bind=HOST) as one, listening(other.put, host=HOST, bind=HOST) as two:
        assert one.port != two.port
        assert one.secret != two.secret
        with sending(one) as send:
            send({"step": 1})
            assert arrived.get(timeout=SECONDS) == {"step": 1}
    assert other.empty()


@pytest.mark.parametrize("secret", ["", "wrong", "x" * 1000])
def test_a_client_without_the_secret_is_ignored(arrived, secret):
    with listening(arrived.put, host=HOST, bind=HOST) as address:
        with socket.create_connection((address.host, address.port), timeout=SECONDS) as stranger:
            stranger.sendall(secret.encode() + b'\n{"step": 666}\n')
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""  # the driver hangs up without an answer
        with sending(address) as send:
            send({"step": 1})
            assert arrived.get(timeout=SECONDS) == {"step": 1}
    assert arrived.empty()


def test_a_partial_line_of_a_killed_rank_is_dropped_silently(arrived, capfd):
    with listening(arrived.put, host=HOST, bind=HOST) as address:
        with socket.create_connection((address.host, address.port), timeout=SECONDS) as rank:
            rank.sendall(f"{address.secret}\n".encode() + b'{"step": 1}\n{"ste')
        assert arrived.get(timeout=SECONDS) == {"step": 1}
    assert arrived.empty()
    assert capfd.readouterr().err == ""


def test_an_unreachable_driver_is_ignored_silently():
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with sending(Address(HOST, port, "secret")) as send:  # closed again: nothing listens there
        send({"step": 1})


def test_a_driver_that_leaves_does_not_stop_the_rank(arrived):
    with listening(arrived.put, host=HOST, bind=HOST) as address:
        context = sending(address)
        send = context.__enter__()
        send({"step": 1})
        arrived.get(timeout=SECONDS)
    for step in range(1000):
        send({"step": step, "ballast": "x" * 1000})
    context.__exit__(None, None, None)


def test_without_an_address_events_are_dropped():
    with sending(None) as send:
        send({"step": 1})


def test_listening_ends_with_its_thread_and_its_port(arrived):
    with listening(arrived.put, host=HOST, bind=HOST) as address:
        assert "sentispark-progress" in {thread.name for thread in threading.enumerate()}
    assert "sentispark-progress" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), timeout=SECONDS)


def test_listening_ends_although_a_stranger_holds_a_connection_open(arrived):
    with listening(arrived.put, host=HOST, bind=HOST) as address:
        stranger = socket.create_connection((address.host, address.port), timeout=SECONDS)
    stranger.close()


def test_a_failure_in_the_block_ends_listening_too(arrived):
    with pytest.raises(KeyError), listening(arrived.put, host=HOST, bind=HOST) as address:
        raise KeyError("job")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), timeout=SECONDS)


def test_a_driver_at_an_ipv6_address_is_reached(arrived):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback")
    with listening(arrived.put, host="[::1]", bind="[::1]") as address, sending(address) as send:
        assert address.host == "::1"
        send({"step": 1})
        assert arrived.get(timeout=SECONDS) == {"step": 1}


def test_a_driver_that_stopped_reading_is_not_waited_for_at_every_event(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_TO_CONNECT", 0.05)
    server = socket.create_server((HOST, 0))
    with server, sending(Address(HOST, server.getsockname()[1], "secret")) as send:
        send({"ballast": "x" * 50_000_000})  # more than all buffers hold, so not all of it can be sent
        started = time.perf_counter()
        for _ in range(1000):
            send({"ballast": "x" * 100_000})
    assert time.perf_counter() - started < 2  # it would be 1000 times 0.05 s if each event timed out


def test_a_driver_that_cannot_listen_trains_without_progress(arrived):
    with listening(arrived.put, host=HOST, bind="no.such.host.invalid") as address:
        assert address is None
