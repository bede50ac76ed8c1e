from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from scaleaudit.cli.endings import ending_in_order

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request):
    before = signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


def test_a_signal_that_ends_a_run_lets_it_tidy_up_first_however_often_it_comes(number):
    tidied = []

    def run() -> None:
        with ending_in_order():
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)
                tidied.append("all")

    with pytest.raises(SystemExit) as ended:
        run()
    assert tidied == ["all"]
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_what_whoever_started_us_has_ignored_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with ending_in_order():
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
    assert signal.getsignal(number) is signal.SIG_IGN


def test_other_threads_leave_signals_to_the_main_thread(number):
    seen = []

    def enter() -> None:
        with ending_in_order():
            seen.append(signal.getsignal(number))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
