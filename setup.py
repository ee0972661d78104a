"""What setup.cfg cannot say: the parts of the package page that depend on where the project is published."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))

from package_page import metadata

setup(**metadata())
