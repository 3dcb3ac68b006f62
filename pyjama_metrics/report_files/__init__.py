"""Reports as files for programs, spreadsheets and people: JSON, CSV, Markdown and one page of HTML.

Each module turns a report into text and knows no terminal and no folder; only `per_day` writes.
"""
