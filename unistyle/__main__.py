"""`python -m unistyle` is the command `unistyle`."""
