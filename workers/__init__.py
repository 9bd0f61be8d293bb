"""What happens: the stages. Pure logic and models; no I/O, no clock, no environment, no Kafka."""
