"""What every wire API needs of HTTP, and nothing of any one of them."""
