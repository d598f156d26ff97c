"""What the people who run a server do beside its work."""
