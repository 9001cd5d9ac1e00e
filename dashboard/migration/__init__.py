"""The pages of the migration, one module each."""
