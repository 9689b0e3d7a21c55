"""Misbehaviour on request: an engine that fails as real ones do, so that callers can test their own error handling."""
