"""The networks: token ids and lengths in, logits out. Only torch: no Spark and no training loop."""
