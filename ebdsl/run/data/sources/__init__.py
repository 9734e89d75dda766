"""The named sources of data, one file for each family."""
