"""Replay, promotion and redrive: what was processed once is processed again, beside live traffic.

Whatever is written to Kafka goes out in transactions, each with a checkpoint record on news.replays. So a run whose
process has died goes on from its last checkpoint, and comes to what an undisturbed run comes to.
"""
