"""The folders of the engine and what stands in them: models, pictures, files of users and packs."""
