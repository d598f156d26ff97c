"""What the owner of a data folder is asked over `DATA/owner.sock`, by programs of the same user on the same machine."""
