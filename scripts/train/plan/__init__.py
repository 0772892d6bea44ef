"""What the training of a configuration will take: memory, GPU-hours, days."""
