"""The machinery: rounds, environments, ratios, budgets, and the table they end in."""
