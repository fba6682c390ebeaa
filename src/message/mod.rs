//! One mail as bytes.

pub mod rewrite;
