"""Events over a socket from a rank to the driver."""

import contextlib
import logging
import queue
import socket
import threading
import time

import pytest

from sentispark.cluster import progress
from sentispark.cluster.progress import SAVE, STACKS, Address, RankLink, listening, passing_on

HOST = "127.0.0.1"
SECONDS = 10.0


class Arrived(queue.Queue):
    """A monitor: the events that reached the driver, in order; other messages are kept by their kind."""

    def __init__(self):
        super().__init__()
        self.asks, self.others, self.lines = {}, [], []

    def connected(self, rank, host, ask, executor):
        self.asks[rank] = ask
        self.others.append(("connected", rank, host))

    def heard(self, rank, message):
        if message.get("kind") in ("alive", "done", "failed", "stacks"):
            self.others.append((message["kind"], rank, message.get("message", message.get("text"))))
            self.lines += message.get("lines", [])
        else:
            self.put(message)

    def disconnected(self, rank, ask):
        self.others.append(("disconnected", rank, None))

    def wait_for(self, kind, count=1):
        ends = time.monotonic() + SECONDS
        while len([one for one in self.others if one[0] == kind]) < count:
            assert time.monotonic() < ends, (kind, self.others)
            time.sleep(0.01)


@pytest.fixture
def arrived():
    """What reached the driver."""
    return Arrived()


@contextlib.contextmanager
def sending(address):
    with RankLink(address, 0, "here") as link:
        yield link.send


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


def test_an_unreachable_driver_is_ignored_silently():
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with sending(Address(HOST, port, "secret")) as send:  # closed again: nothing listens there
        send({"step": 1})


def test_a_driver_that_leaves_does_not_stop_the_rank(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address:
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
    with listening(arrived, host=HOST, bind="no.such.host.invalid") as address:
        assert address is None


def test_a_rank_shows_that_it_lives_and_what_it_logs(arrived):
    log, before = logging.getLogger("sentispark.test"), logging.getLogger("sentispark").level
    with listening(arrived, host=HOST, bind=HOST) as address:
        with RankLink(address, 3, "there"):
            log.info("[rank 3/4] reads")
            arrived.wait_for("alive", 2)
        arrived.wait_for("disconnected")
    assert arrived.others[0] == ("connected", 3, "there")
    assert arrived.others[-2:] == [("done", 3, None), ("disconnected", 3, None)]
    assert "[rank 3/4] reads" in arrived.lines
    assert logging.getLogger("sentispark").level == before
    assert not logging.getLogger("sentispark").handlers


def test_a_rank_says_why_it_failed(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address:
        with pytest.raises(KeyError), RankLink(address, 1, "there"):
            raise KeyError("why")
        arrived.wait_for("disconnected")
    assert ("failed", 1, "'why'") in arrived.others
    assert "done" not in {kind for kind, _, _ in arrived.others}


def test_a_rank_answers_requests_at_once(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address, RankLink(address, 0, "there") as link:
        arrived.wait_for("connected")
        assert not link.save_asked()
        started = time.monotonic()
        arrived.asks[0](STACKS)
        arrived.wait_for("stacks")
        arrived.asks[0](SAVE)
        while not link.save_asked():
            assert time.monotonic() < started + SECONDS
            time.sleep(0.01)
    (stacks,) = [text for kind, _, text in arrived.others if kind == "stacks"]
    assert "test_a_rank_answers_requests_at_once" in stacks


def test_a_broken_connection_is_made_again(arrived, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_SIGNS", 0.05)
    with listening(arrived, host=HOST, bind=HOST) as address, RankLink(address, 0, "there") as link:
        arrived.wait_for("connected")
        link._connection.shutdown(socket.SHUT_RDWR)
        arrived.wait_for("connected", 2)
        link.send({"step": 2})
        assert arrived.get(timeout=SECONDS) == {"step": 2}


def test_a_link_ends_at_once_and_with_its_thread(arrived):
    with listening(arrived, host=HOST, bind=HOST) as address:
        started = time.monotonic()
        with RankLink(address, 0, "there"):
            pass
        assert time.monotonic() - started < 0.5
    assert "sentispark-link" not in {thread.name for thread in threading.enumerate()}


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


def test_an_end_of_an_epoch_that_could_not_be_sent_is_sent_later(arrived, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_SIGNS", 0.05)
    with listening(arrived, host=HOST, bind=HOST) as address, RankLink(address, 0, "there") as link:
        arrived.wait_for("connected")
        link._drop()
        link.send({"kind": "progress", "step": 1})
        link.send({"kind": "epoch", "epoch": 1})
        assert arrived.get(timeout=SECONDS) == {"kind": "epoch", "epoch": 1}


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
