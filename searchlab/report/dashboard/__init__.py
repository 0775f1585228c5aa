"""What optuna-dashboard shows of runs: the leaderboard's words, made as they are asked for."""
