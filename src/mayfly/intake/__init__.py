"""Intake: inspect, seal, store, one durable hand-over."""
