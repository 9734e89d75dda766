"""One file for each family of methods: each registers its own."""
