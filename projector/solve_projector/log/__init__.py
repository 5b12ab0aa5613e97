"""The log in Kafka, read apart from the consumer group."""
