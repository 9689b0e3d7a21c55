"""How long and how large the values of callers may be: said once, for every wire API and every use case."""

MAX_NAME = 200
"""Characters of a name, an id, a label, an idempotency key."""

MAX_TEXT = 10_000
"""Characters of a description or a comment."""

MAX_ENVIRONMENT = 50
MAX_URL = 8_192
"""Characters of an address: a webhook's, or an input's."""

MAX_TOKEN = 4_096
"""Characters of an API key or another token."""

MAX_KEY_DAYS = 3_650
MAX_INPUTS = 1_000
MAX_NUMBER = 2**31 - 1
"""The greatest number of a version or an event."""

LEAST_PRIORITY, MOST_PRIORITY = -100, 100
