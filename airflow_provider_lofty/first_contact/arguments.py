"""What the command is told: the same as a module's command and as one of Airflow's. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

DEFAULT_CONN_ID = "lofty_default"
SUMMARY = "Learn from one test lead what this account's Lofty does where no document says it"


def lead_id(text: str) -> int:
    """
    Read a lead's id.

    :raises argparse.ArgumentTypeError: it is not an id
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is not a lead id")
    return int(text)


def new_file(text: str) -> Path:
    """
    See before anything is posted that what is learned can be written there, and takes no other profile's place.

    :raises argparse.ArgumentTypeError: it cannot
    """
    path = Path(text)
    if path.exists():
        raise argparse.ArgumentTypeError(f"{text} exists; name a new file")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{path.parent} is not a folder that can be written to")
    return path


ARGUMENTS: dict[str, dict[str, Any]] = {
    "--conn-id": {"default": DEFAULT_CONN_ID, "help": "the connection [%(default)s]"},
    "--lead-id": {"type": lead_id, "required": True, "help": "a lead of your own, made for tests"},
    "--profile": {"metavar": "FILE", "type": new_file, "help": "write what was learned to this new file, as JSON"},
    "--yes": {"action": "store_true", "help": "do not ask before the first post"},
}
