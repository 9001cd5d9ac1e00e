"""What came of it: the migration's report, and stored phases judged again."""
