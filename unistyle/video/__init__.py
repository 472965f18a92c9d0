"""Videos: the loop, the files, and what is kept from frame to frame."""
