"""A rank's connection to the driver: what it sends, what it answers, and a driver that is not there."""

import logging
import socket
import threading
import time

import pytest

from sentispark.cluster import link as module
from sentispark.cluster.link import RankLink
from sentispark.cluster.progress import SAVE, STACKS, Address, listening
from tests.helpers.arrived import SECONDS, Arrived, sending

HOST = "127.0.0.1"


@pytest.fixture
def arrived():
    """What reached the driver."""
    return Arrived()


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


def test_a_driver_that_stopped_reading_is_not_waited_for_at_every_event(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_TO_CONNECT", 0.05)
    server = socket.create_server((HOST, 0))
    with server, sending(Address(HOST, server.getsockname()[1], "secret")) as send:
        send({"ballast": "x" * 50_000_000})  # more than all buffers hold, so not all of it can be sent
        started = time.perf_counter()
        for _ in range(1000):
            send({"ballast": "x" * 100_000})
    assert time.perf_counter() - started < 2  # it would be 1000 times 0.05 s if each event timed out


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
    monkeypatch.setattr(module, "SECONDS_BETWEEN_SIGNS", 0.05)
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


def test_an_end_of_an_epoch_that_could_not_be_sent_is_sent_later(arrived, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_SIGNS", 0.05)
    with listening(arrived, host=HOST, bind=HOST) as address, RankLink(address, 0, "there") as link:
        arrived.wait_for("connected")
        link._drop()
        link.send({"kind": "progress", "step": 1})
        link.send({"kind": "epoch", "epoch": 1})
        assert arrived.get(timeout=SECONDS) == {"kind": "epoch", "epoch": 1}


def test_only_warnings_are_shown_by_a_process_that_shows_nothing_else(arrived, monkeypatch, capfd):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log = logging.getLogger("sentispark.test")
    with listening(arrived, host=HOST, bind=HOST) as address, RankLink(address, 0, "there"):
        log.info("reads")
        log.warning("full")
    assert capfd.readouterr().err == "full\n"
