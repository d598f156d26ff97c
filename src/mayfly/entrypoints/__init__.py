"""Where the outside meets the stages."""
