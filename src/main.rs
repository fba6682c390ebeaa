//! The p7mill program.
fn main() {}
