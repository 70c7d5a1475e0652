"""How sentispark does beside what a user would otherwise pick, measured."""
