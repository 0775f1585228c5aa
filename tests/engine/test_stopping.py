from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import ClassVar

import pytest

from searchlab.engine import stopping
from searchlab.engine.stopping import StopRequest, stop_on_signals
from searchlab.errors import InfrastructureError

_STUCK = """
import os, signal, sys, time
from searchlab.engine import stopping
stopping._LONGEST_STOP_SECONDS = float(sys.argv[1])
with stopping.stop_on_signals(stopping.StopRequest()):
    for number in sys.argv[2:]:
        os.kill(os.getpid(), int(number))
    time.sleep(60)
"""


def _run_stuck(longest: float, *signals: signal.Signals) -> subprocess.CompletedProcess[str]:
    arguments = [str(longest), *(str(int(number)) for number in signals)]
    return subprocess.run(
        [sys.executable, "-c", _STUCK, *arguments], capture_output=True, text=True, timeout=50
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_that_hangs_ends_the_process_by_itself(number: signal.Signals, code: int) -> None:
    done = _run_stuck(0.2, number)
    assert (done.returncode, "can be resumed" in done.stderr) == (code, True)


def test_a_second_signal_ends_the_process_at_once() -> None:
    assert _run_stuck(1e6, signal.SIGINT, signal.SIGINT).returncode == 130


def test_handlers_are_given_back_and_a_finished_stop_ends_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    request = StopRequest()
    with stop_on_signals(request):
        signal.raise_signal(signal.SIGINT)
    request.close()
    assert signal.getsignal(signal.SIGINT) is before
    assert (request.is_made, request.exit_code) == (True, 130)


def test_other_threads_are_left_without_handlers() -> None:
    entered = []

    def enter() -> None:
        with stop_on_signals(StopRequest()):
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True]


def test_a_fault_stops_the_study_and_keeps_the_first_cause() -> None:
    request = StopRequest()
    first = InfrastructureError("the disk is full")
    request.fail(first)
    request.fail(InfrastructureError("and then the storage is away"))
    request.close()
    assert request.is_made
    assert request.fault is first
    assert request.signal_number is None


class FakeTimer:
    """Never runs out."""

    made: ClassVar[list[FakeTimer]] = []

    def __init__(self, seconds: float, end: object, arguments: tuple[int, str]) -> None:
        self.seconds, self.exit_code = seconds, arguments[0]
        self.daemon = self.is_running = False
        self.made.append(self)

    def start(self) -> None:
        self.is_running = True

    def cancel(self) -> None:
        self.is_running = False


@pytest.mark.parametrize("first", ["signal", "fault"])
def test_a_stop_that_is_asked_for_again_leaves_one_timer_and_in_the_end_none(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(FakeTimer, "made", [])
    monkeypatch.setattr(stopping.threading, "Timer", FakeTimer)
    request = StopRequest()
    if first == "signal":
        request.make(signal.SIGINT)
    else:
        request.fail(InfrastructureError("the disk is full"))
    request.make(signal.SIGTERM)
    assert [timer.exit_code for timer in FakeTimer.made if timer.is_running] == [143]
    request.close()
    assert len(FakeTimer.made) == 2
    assert not any(timer.is_running for timer in FakeTimer.made)


def test_a_signal_tells_those_who_wait_for_something() -> None:
    request = StopRequest()
    told: list[bool] = []
    request.tell(lambda: told.append(True))
    with stop_on_signals(request):
        signal.raise_signal(signal.SIGTERM)
    request.close()
    assert told == [True]
    assert request.exit_code == 143
