//! One message in, one [`outcome::Outcome`] out; pure: no I/O, no clock, nothing printed.

pub mod judge;
pub mod outcome;
