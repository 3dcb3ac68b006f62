"""The command line: one small module per command, ``main`` chooses among them, ``terminal`` draws."""
