"""What a file of the workflow folder can be told."""


class Unreadable(Exception):
    """A workflow file that cannot be one; the sentence says why."""
