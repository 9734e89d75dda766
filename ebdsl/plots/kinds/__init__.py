"""The kinds of pictures, one file each."""
