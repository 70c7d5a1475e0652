"""The networks: token ids and lengths in, logits out. Torch alone, no Spark and no training loop."""
