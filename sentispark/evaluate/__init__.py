"""The quality of a classifier: logits and labels in, measures and figures out."""
