"""What is in a .dqnn file, the forms that firmware builds take it in, and what changed between two of them."""
