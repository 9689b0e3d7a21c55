"""The wire APIs: `http` is what they share, each other folder is one API; `build.build_api` puts them together."""
