"""Kafka, by librdkafka. The only room that knows either."""
