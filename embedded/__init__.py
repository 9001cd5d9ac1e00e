"""PostgreSQL, Redis and Envoy from their wheels, and the supervisor that runs them; imports no app."""
