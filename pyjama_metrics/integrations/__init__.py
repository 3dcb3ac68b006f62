"""What programs that are not ours tell of themselves: their hooks, and the launcher by which they call us."""
