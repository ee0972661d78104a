"""moto's S3 as a server, and one bucket in it as a test sees it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

_KEY, _SECRET, _REGION = "made-up-key", "made-up-secret", "us-east-1"


class Bucket:
    """
    A bucket named ``lake`` on a server of its own.

    :ivar url: of the bucket, through the Airflow connection ``lake``
    :ivar connection: that connection
    :ivar denies: asked of each request by its method, path and query; True lets it fail as one without a right does
    """

    url = "s3://lake@lake"

    def __init__(self) -> None:
        self.denies: Callable[[str, str, str], bool] = lambda method, path, query: False
        self._app = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        endpoint = f"http://127.0.0.1:{self._server.server_port}"
        extra = {"endpoint_url": endpoint, "region_name": _REGION}
        self.connection = json.dumps({"conn_type": "aws", "login": _KEY, "password": _SECRET, "extra": extra})
        self._client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id=_KEY, aws_secret_access_key=_SECRET, region_name=_REGION
        )
        self.clear()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.denies(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]):
            start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Connection", "close")])
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket="lake", Key=key, Body=content)

    def put_many(self, contents: Mapping[str, bytes]) -> None:
        """Put objects there without a request for each."""
        for key, content in contents.items():
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object("lake", key, content)

    def get(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket="lake", Key=key)["Body"].read()
        return content

    def keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket="lake")
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def uploads(self) -> list[str]:
        """Name what was begun to be uploaded in parts, and neither completed nor given up."""
        return [each["Key"] for each in self._client.list_multipart_uploads(Bucket="lake").get("Uploads", ())]

    def clear(self) -> None:
        self.denies = lambda method, path, query: False
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
        self._client.create_bucket(Bucket="lake")

    def close(self) -> None:
        self._client.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
