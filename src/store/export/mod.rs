//! The store's certificates in the forms that other programs take.

pub mod pem;
