"""
A thread pool of ``requests`` with urllib3's ``Retry``: what people write when the loop is too slow.

It is written with care: POST is retried on 429, on 5xx and on a dropped connection, with a growing pause; a row that
fails in the end is printed and does not stop the others; the exit status is 1 when a row failed. With one thread it is
the loop with retries.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import requests
from common import body_of, end, headers, options, path_of, read
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

given = options(threads=8)
retry = Retry(total=5, backoff_factor=1, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=["POST"])
session = requests.Session()
session.headers.update(headers(given.key))
session.mount("http://", HTTPAdapter(max_retries=retry, pool_maxsize=given.threads))


def post(row: dict[str, str]) -> bool:
    """Send a row; say whether it went well."""
    try:
        answer = session.post(given.url + path_of(row["lead_id"]), json=body_of(row), timeout=30)
        answer.raise_for_status()
    except requests.RequestException as error:
        print(f"{row['text']}: {error}", file=sys.stderr)
        return False
    return True


with ThreadPoolExecutor(given.threads) as pool:
    outcomes = list(pool.map(post, read(given.rows)))
end(given.told, outcomes)
