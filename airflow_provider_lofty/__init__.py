"""Apache Airflow provider for the Lofty CRM: warehouse rows in, lead activities out, every row accounted for."""

__version__ = "0.1.0"
