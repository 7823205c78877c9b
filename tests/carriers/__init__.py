"""Two strict scripted telephone companies: they play the service's documents to scripted people."""
