"""The ground: run folders, and the store that holds them."""
