"""What connects other people's programs with the hub: their settings, their hooks, their status line."""
