"""What does Kafka say? The only package that knows the Kafka client."""
