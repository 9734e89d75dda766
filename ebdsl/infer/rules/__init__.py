"""The inference rules, a file each; the planner finds them by itself."""
