"""The kinds of suspicion, each a pure function of an operation's visits."""
