"""Tests of sound and video: the library part and the nodes on it."""
