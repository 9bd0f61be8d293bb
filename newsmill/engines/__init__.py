"""One contract, three ways to run it."""
