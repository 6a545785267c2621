"""The pickle contract on disk: writing it durably, reading it without running it."""
