"""Values and rules. Standard library only; nothing here does input or output."""
