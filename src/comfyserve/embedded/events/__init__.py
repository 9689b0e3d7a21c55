"""What clients hear while prompts run: the websockets and the log."""
