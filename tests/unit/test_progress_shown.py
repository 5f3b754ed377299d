"""What the command line makes of progress, and of a Ctrl-C in between."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bitextmine.cli.stages import progress_shown


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN])
def handler(request: pytest.FixtureRequest) -> Iterator[object]:
    """What a terminal's shell, and a shell's background, have Ctrl-C do."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_that_was_swallowed_ends_the_work_at_the_next_report(handler: object) -> None:
    with progress_shown() as progress:
        progress("embed", 1, 3)
        with suppress(KeyboardInterrupt):  # as a callback of native code, or a finaliser, makes of it
            signal.raise_signal(signal.SIGINT)
        if handler is signal.SIG_IGN:
            progress("embed", 2, 3)
        else:
            with pytest.raises(KeyboardInterrupt):
                progress("embed", 2, 3)
    assert signal.getsignal(signal.SIGINT) is handler
