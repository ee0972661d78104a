"""How many simulated worlds, and how many lives of a task, a run of the tests plays."""

from __future__ import annotations

import os

# All where everything is run; the Makefile has fewer played where it is a Python or an Airflow that is in question.
WORLDS = int(os.environ.get("LOFTY_TEST_WORLDS", "300"))
