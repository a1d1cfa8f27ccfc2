"""What one would else use, each at its best; our own code throughout."""
