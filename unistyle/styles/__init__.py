"""Style codes, their names, and the bank that holds them."""
