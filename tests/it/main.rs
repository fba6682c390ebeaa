//! Integration tests, a file a command.
