"""A local Apache Kafka (KRaft, one node) for development, tests and small installations."""

from newsmill.local.errors import LocalKafkaError
from newsmill.local.kafka import LocalKafka, Stopped, stop_recorded

__all__ = ["LocalKafka", "LocalKafkaError", "Stopped", "stop_recorded"]
