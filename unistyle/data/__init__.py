"""Photos with labels and masks, and what training draws from them."""
