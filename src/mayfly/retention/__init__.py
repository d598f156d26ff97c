"""Retention: what is due dies, key first, in every copy."""
