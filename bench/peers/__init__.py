"""What an expert would write by hand in eager PyTorch, as fast as we could make it."""
