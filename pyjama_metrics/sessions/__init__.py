"""Sessions of other people's agents (Claude Code, Codex): from what their hooks and files tell to events of the journal."""
