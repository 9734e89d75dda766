"""Compile, train, infer, evaluate: what happens to a spec once there is data."""
