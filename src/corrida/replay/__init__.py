"""Execute a run again: to prove that it can be reproduced, or to find which change made it worse."""
