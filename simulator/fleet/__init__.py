"""A fleet of simulated robots that speaks the legacy protocol to whatever answers at the door."""
