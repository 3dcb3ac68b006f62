"""The history: the second projection of the journals, in ``history.db``, for questions about the past.

`projection` brings the journals into the database, exactly once, whoever does it; `gathered` and `writing` say what an event
becomes there, `blobs` how durations are kept, `schema` what the tables are, `upkeep` what is forgotten, and `follower` is what
the hub knows of all that. Nothing here is needed to record or to show what happens now: where the database cannot be used, the
rest goes on.
"""

THE_BEGINNING = 1
"""Since when a history knows all that happened, where it was made with its hub; else that is a time, in ms since the epoch."""

BEGINS = "history.begins"
"""A note beside the database that is to be made: it will know all that was recorded in this hub."""
