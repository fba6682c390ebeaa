//! Integration tests, a file a command or a promise.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics, says what it has not shown, and writes what it needs"
)]

mod beside;
mod cli;
mod corpora;
mod cut;
mod docs;
mod dovecot;
mod encrypt;
mod examples;
mod faults;
mod fixtures;
mod forms;
mod fuzz;
mod hostile;
mod house;
mod interop;
mod interop_encrypted;
mod judges;
mod kills;
mod labels;
mod large;
mod limits;
mod memory;
mod openings;
mod pkits;
mod protected_headers;
mod redacted;
mod release;
mod reports;
mod resume;
mod retry;
mod sample;
mod secrets;
mod sign;
mod signatures;
mod sources;
mod spoofing;
mod story;
mod support;
mod trust;
mod wrong_keys;
