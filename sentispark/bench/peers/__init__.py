"""The alternatives that sentispark is compared with, written as their users would write them."""
