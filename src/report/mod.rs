//! What an auditor reads: rows and files, written once, at the end, from the journal's records.

pub mod csv;
pub mod record;
pub mod rows;
