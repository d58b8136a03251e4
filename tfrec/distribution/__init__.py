"""Training on several devices and machines: who takes part, and what they tell each other at each step."""
