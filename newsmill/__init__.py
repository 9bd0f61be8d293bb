"""How it runs: engines, settings, metrics, commands."""
