"""A page to try a checkpoint on."""
