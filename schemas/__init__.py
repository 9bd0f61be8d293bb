"""What flows: the typed messages of every topic, their codec, and the rules for keys and headers."""
