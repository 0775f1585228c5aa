"""What proposes the next trial: Optuna's samplers, and those that see a whole conditional space."""
