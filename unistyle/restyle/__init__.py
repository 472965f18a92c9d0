"""One photo, from pixels to result."""
