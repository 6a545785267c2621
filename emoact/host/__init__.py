"""One typed sentence through an installed model, in a process that keeps the model for a while."""
