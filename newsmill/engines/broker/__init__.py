"""What the engines that work on a broker share: marks, partitions, positions, and state restored from a log."""
