"""Training on ranks: one process each, the same whether Spark or torchrun starts them. Nothing here imports Spark."""
