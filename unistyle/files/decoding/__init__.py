"""How the bytes of a file become a picture of 8 bits whose pixels, bits and opacity are what the file says."""
