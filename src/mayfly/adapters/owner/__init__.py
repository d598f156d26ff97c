"""The owner of a data folder, asked over its socket by a process that brings images in."""
