"""Commands of `unistyle evaluate` that are modules of their own."""
