"""Samples of ``exp(-β F)``: chains on the energy of a trained model, and whether they have mixed."""
