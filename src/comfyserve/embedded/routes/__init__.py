"""The HTTP surface of the embedded engine: one module per noun, listed in `table`."""
