"""The rows of the domain table, a file for each family."""
