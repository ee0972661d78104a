"""A StatsD server that adds up the counters it gets, tags in InfluxDB's style."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Mapping


class StatsdListener:
    """
    Listens on a UDP port of this machine from its creation on.

    :ivar environment: makes an Airflow send its metrics here
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._counters: Counter[tuple[str, frozenset[tuple[str, ...]]]] = Counter()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self.environment = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def __enter__(self) -> StatsdListener:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self._socket.getsockname())  # ends the thread
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while packet := self._socket.recv(65535):
            for line in packet.decode().splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        stat, _, value = line.rpartition(":")
        number, _, kind = value.partition("|")
        if kind == "c":
            name, *tags = stat.split(",")
            self._counters[name, frozenset(tuple(tag.split("=", 1)) for tag in tags)] += int(number)

    def counted(self, name: str, tags: Mapping[str, str]) -> int:
        """What a counter with exactly these tags has come to."""
        return self._counters[name, frozenset(tags.items())]
