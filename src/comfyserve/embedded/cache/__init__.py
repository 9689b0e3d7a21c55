"""Results kept from one prompt to the next."""
