"""What every command that speaks to Kafka begins with."""

import importlib.util

from mayfly.model.errors import Misconfigured
from mayfly.settings import Settings


def need_client(settings: Settings) -> None:
    """
    Raises:
        Misconfigured: Kafka is set up, and its client is not installed.
    """
    if settings.kafka is not None and importlib.util.find_spec("confluent_kafka") is None:
        raise Misconfigured(
            "kafka: needs Kafka's client, which is not installed: pip install 'mayfly[kafka]' (from a checkout: "
            "pip install -e '.[kafka]')"
        )
