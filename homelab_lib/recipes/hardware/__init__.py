"""What people build and plug together, and the machine that they sit at."""
