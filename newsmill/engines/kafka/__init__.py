"""The kafka engine: one stage a process; outputs, log records and offsets in one transaction per batch."""
