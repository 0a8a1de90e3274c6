"""One signal asks for the end, two force it."""

import signal

import pytest

from vidar_det.commands.ending import EndingSignals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_is_remembered_and_the_second_ends_at_once(
    name: str,
) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    number = getattr(signal, name)
    before = signal.signal(number, end)
    try:
        with EndingSignals() as ending:
            assert ending.name() is None
            signal.raise_signal(number)
            assert (ending.name(), ending.number) == (name, number)
            with pytest.raises(SystemExit):
                signal.raise_signal(number)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with EndingSignals() as ending:
            signal.raise_signal(signal.SIGHUP)
        assert ending.name() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_given_back_where_no_signal_came() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with EndingSignals():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
