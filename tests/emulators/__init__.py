"""Storage services on this machine for the tests: S3 and GCS by moto, Azure by azurite."""
