"""The learning rules, a file each; the planner finds them by itself."""
