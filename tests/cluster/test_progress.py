"""What reaches the driver from ranks, and what it passes on."""

import contextlib
import socket
import threading
import time

import pytest

from sentispark.cluster import progress
from sentispark.cluster.progress import listening, passing_on
from tests.helpers.arrived import SECONDS, Arrived, sending

HOST = "127.0.0.1"


@pytest.fixture
def arrived():
    """What reached the driver."""
    return Arrived()


def test_events_arrive_in_order(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address, sending(address) as send:
        for step in range(5):
            send({"kind": "progress", "step": step})
        assert [arrived.get(timeout=SECONDS)["step"] for _ in range(5)] == [0, 1, 2, 3, 4]


def test_events_sent_before_the_rank_left_have_arrived_when_listening_ends(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address, sending(address) as send:
        send({"step": 0})
        arrived.get(timeout=SECONDS)  # the driver knows the rank
        for step in range(1, 500):
            send({"step": step})
    assert arrived.qsize() == 499


def test_events_arrive_unchanged(arrived):
    event = {"kind": "epoch", "epoch": 1, "validation": {"roc_auc": 0.5, "f1": {"macro": None}}, "text": "é\n\u2028"}
    with listening(arrived, host=HOST, bind=HOST) as address, sending(address) as send:
        send(event)
        assert arrived.get(timeout=SECONDS) == event


def test_two_fits_at_once_receive_only_their_own_events(arrived):
    other = Arrived()
    with listening(arrived, host=HOST, bind=HOST) as one, listening(other, host=HOST, bind=HOST) as two:
        assert one.port != two.port
        assert one.secret != two.secret
        with sending(one) as send:
            send({"step": 1})
            assert arrived.get(timeout=SECONDS) == {"step": 1}
    assert other.empty()


@pytest.mark.parametrize("secret", ["", "wrong", "x" * 1000])
def test_a_client_without_the_secret_is_ignored(arrived, secret):
    with listening(arrived, host=HOST, bind=HOST) as address:
        with socket.create_connection((address.host, address.port), timeout=SECONDS) as stranger:
            stranger.sendall(secret.encode() + b'\n{"step": 666}\n')
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""  # the driver hangs up without an answer
        with sending(address) as send:
            send({"step": 1})
            assert arrived.get(timeout=SECONDS) == {"step": 1}
    assert arrived.empty()


def test_a_partial_line_of_a_killed_rank_is_dropped_silently(arrived, capfd):
    with listening(arrived, host=HOST, bind=HOST) as address:
        with socket.create_connection((address.host, address.port), timeout=SECONDS) as rank:
            hello = b'{"rank": 0, "host": "here"}\n'
            rank.sendall(f"{address.secret}\n".encode() + hello + b'{"step": 1}\n{"ste')
        assert arrived.get(timeout=SECONDS) == {"step": 1}
    assert arrived.empty()
    assert capfd.readouterr().err == ""


def test_listening_ends_with_its_thread_and_its_port(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address:
        assert "sentispark-progress" in {thread.name for thread in threading.enumerate()}
    assert "sentispark-progress" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), timeout=SECONDS)


def test_listening_ends_although_a_stranger_holds_a_connection_open(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address:
        stranger = socket.create_connection((address.host, address.port), timeout=SECONDS)
    stranger.close()


def test_a_failure_in_the_block_ends_listening_too(arrived):
    with pytest.raises(KeyError), listening(arrived, host=HOST, bind=HOST) as address:
        raise KeyError("job")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), timeout=SECONDS)


def test_a_driver_at_an_ipv6_address_is_reached(arrived):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback")
    with listening(arrived, host="[::1]", bind="[::1]") as address, sending(address) as send:
        assert address.host == "::1"
        send({"step": 1})
        assert arrived.get(timeout=SECONDS) == {"step": 1}


def test_a_driver_that_cannot_listen_trains_without_progress(arrived):
    with listening(arrived, host=HOST, bind="no.such.host.invalid") as address:
        assert address is None


class TestPassingOn:
    """Events reach slow and failing callbacks in order, and nobody waits for these."""

    def test_all_events_are_passed_on_in_order(self):
        found = []
        with passing_on(found.append) as emit:
            for step in range(1000):
                emit({"step": step})
        assert [event["step"] for event in found] == list(range(1000))

    def test_a_slow_callback_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr(progress, "SECONDS_FOR_LAST_EVENTS", 0.1)
        ends = threading.Event()
        started = time.monotonic()
        with passing_on(lambda event: ends.wait(SECONDS)) as emit:
            for step in range(10):
                emit({"step": step})
        assert time.monotonic() - started < 2
        ends.set()

    def test_a_callback_that_fails_is_logged_and_called_again(self, caplog):
        def fail(event):
            raise KeyError(event["step"])

        with passing_on(fail) as emit:
            emit({"step": 1})
            emit({"step": 2})
        assert caplog.text.count("An event could not be passed on.") == 2


def test_a_rank_that_hangs_keeps_no_thread_and_no_connection(arrived):
    before = threading.active_count()
    with listening(arrived, host=HOST, bind=HOST) as address:
        hanging = [socket.create_connection((address.host, address.port), timeout=SECONDS) for _ in range(4)]
        for rank, connection in enumerate(hanging):
            connection.sendall(f'{address.secret}\n{{"rank": {rank}, "host": "there"}}\n'.encode())
        arrived.wait_for("connected", 4)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert threading.active_count() == before
    for connection in hanging:
        assert connection.recv(1) == b""
        connection.close()
