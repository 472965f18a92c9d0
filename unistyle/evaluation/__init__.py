"""What is measured, and the pictures to look at."""
