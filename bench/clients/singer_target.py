"""
A Singer target made with singer-sdk: its ``RecordSink`` posts each record as it comes.

A tap of a few lines in a process of its own pipes the rows in, with a bookmark every 100 rows. What the target says it
has finished is kept on the client's disk, and the tap goes on from there when it runs again, as Meltano does it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import body_of, headers, options, path_of, read

BOOKMARK_EVERY = 100
SCHEMA = {
    "type": "SCHEMA",
    "stream": "activities",
    "key_properties": [],
    "schema": {
        "properties": {
            name: {"type": ["string", "null"]} for name in ("lead_id", "type", "text", "link", "picture", "created")
        }
    },
}


def tap(rows: Path, skip: int) -> None:
    """Write the rows as Singer messages to standard output, from the bookmark on."""
    out = sys.stdout
    out.write(json.dumps(SCHEMA) + "\n")
    for number, row in enumerate(read(rows), 1):
        if number <= skip:
            continue
        out.write(json.dumps({"type": "RECORD", "stream": "activities", "record": row}) + "\n")
        if number % BOOKMARK_EVERY == 0:
            out.write(json.dumps({"type": "STATE", "value": {"row": number}}) + "\n")


def bookmark(state: Path) -> int:
    """Give the last row that the target has said to have finished."""
    lines = state.read_text(encoding="utf-8").split() if state.exists() else []
    return int(json.loads("".join(lines[-2:]))["row"]) if lines else 0


def target(given: Any) -> None:
    """Run tap and target; the exit status is the target's."""
    import requests
    from singer_sdk import Target, typing as th
    from singer_sdk.sinks import RecordSink

    session = requests.Session()
    session.headers.update(headers(given.key))

    class LoftySink(RecordSink):
        """Posts a record."""

        def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
            answer = session.post(self.config["url"] + path_of(record["lead_id"]), json=body_of(record), timeout=30)
            answer.raise_for_status()

    class LoftyTarget(Target):
        """A target for the practice Lofty."""

        name = "target-lofty"
        config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()
        default_sink_class = LoftySink

    state = given.home / "state.jsonl"
    command = [sys.executable, __file__, "tap", str(given.rows), str(bookmark(state))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as source, state.open("a") as states:
        sys.stdout = states
        try:
            LoftyTarget(config={"url": given.url}).listen(source.stdout)
        finally:
            source.kill()


if sys.argv[1] == "tap":
    tap(Path(sys.argv[2]), int(sys.argv[3]))
else:
    target(options())
