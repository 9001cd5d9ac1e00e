"""The pages of the migration, one module each."""
"""Pages of the migration, one module each."""
