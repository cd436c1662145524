"""The command as a process of its own: `concordat`, or `python -m concordat.client`."""

import signal
import sys
from types import FrameType

TERMINATED = 128 + signal.SIGTERM


def run() -> None:
    """Run the command. One that is stopped unwinds: a bar that hid the cursor shows it, and temporary files go."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        from concordat.client.cli import main  # here: reading all of it takes a moment, in which somebody may stop it
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    main(prog_name="concordat")


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(TERMINATED)


if __name__ == "__main__":
    run()
