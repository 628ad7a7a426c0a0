"""What a user would like: likes split, recommenders, leaderboard, recommendations."""
