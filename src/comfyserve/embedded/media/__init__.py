"""Sound and moving pictures: decoding, encoding and resampling for the audio and video nodes (PyAV, extra `video`)."""
