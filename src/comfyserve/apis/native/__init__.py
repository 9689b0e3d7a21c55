"""Our own wire API, /v1: the nouns as resources, one error shape, cursors, idempotency keys, resumable events."""
