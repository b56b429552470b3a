"""What users write, turned at once into a few parts: the front door's agents, and how they are saved and come back."""
