"""A mail server that takes every message and keeps it."""

from __future__ import annotations

import json
import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            command = line[:4].upper().strip()
            if command == b"DATA":
                self._say("354 go on")
                self.server.keep(iter(self.rfile.readline, b".\r\n"))
            self._say("221 bye" if command == b"QUIT" else "250 ok")
            if command == b"QUIT":
                return

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """
    Listens on a port of this machine while it is entered.

    :ivar messages: in the order they came
    :ivar connection: to it, as ``AIRFLOW_CONN_SMTP_DEFAULT`` takes one
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.messages: list[EmailMessage] = []
        host, port = self.server_address[:2]
        settings = {"disable_ssl": True, "disable_tls": True}
        self.connection = json.dumps({"conn_type": "smtp", "host": host, "port": port, "extra": settings})
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def keep(self, lines: Any) -> None:
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)

    def __enter__(self) -> MailServer:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
