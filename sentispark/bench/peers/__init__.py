"""What sentispark is compared with, written as its users would write it."""
