"""``python -m airflow_provider_lofty.first_contact``."""

from __future__ import annotations

import sys

from airflow_provider_lofty.first_contact.command import find_connections, main

if __name__ == "__main__":
    find_connections()
    sys.exit(main())
