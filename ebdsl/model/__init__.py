"""The typed IR, domains, and the checked model."""
