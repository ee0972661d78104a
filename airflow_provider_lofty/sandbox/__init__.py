"""A Lofty to practise on: a local server that answers as Lofty does, with faults on demand."""

from airflow_provider_lofty.sandbox.accounts import settings_like
from airflow_provider_lofty.sandbox.answers import Answer
from airflow_provider_lofty.sandbox.crm import ReceivedRequest, StoredActivity
from airflow_provider_lofty.sandbox.faults import FAULTS
from airflow_provider_lofty.sandbox.server import Sandbox
from airflow_provider_lofty.sandbox.settings import SandboxSettings

__all__ = ["FAULTS", "Answer", "ReceivedRequest", "Sandbox", "SandboxSettings", "StoredActivity", "settings_like"]
