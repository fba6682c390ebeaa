//! Whether a header says for certain to whom a message goes. An address that one reader takes for a
//! recipient's, and p7mill does not, would stand readable outside and get no copy.

use crate::message::headers::{Field, Headers};

/// The fields that name who gets a message, or got it.
const FIELDS: [&str; 6] = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"];

/// What some programs put before a file's text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn is_certain(headers: &Headers<'_>) -> bool {
    // Of what one reader takes for a field and another does not, nobody knows who is meant.
    let is_odd = headers.is_cr_only() && headers.count("Bcc") > 0;
    !is_odd
        && headers.fields().enumerate().all(|(at, field)| {
            if names_recipients(&field) {
                field.is_plain()
            } else {
                is_named(&field, at == 0)
            }
        })
        && headers.skipped().all(|skipped| {
            let goes_on = skipped.after.as_ref().is_some_and(names_recipients);
            !goes_on && (skipped.envelope || !holds_address(skipped.line))
        })
        && ends_certainly(headers)
}

fn names_recipients(field: &Field<'_>) -> bool {
    FIELDS.iter().any(|name| field.is(name))
}

fn holds_address(text: &[u8]) -> bool {
    memchr::memchr(b'@', text).is_some()
}

/// Whether the name is one, and not an address that lost the white space before it.
fn is_named(field: &Field<'_>, is_first: bool) -> bool {
    let name = match field.name.strip_prefix(BYTE_ORDER_MARK) {
        Some(name) if is_first => name,
        _ => field.name,
    };
    let has_junk = name.iter().any(u8::is_ascii_control);
    let is_ascii = name.iter().all(u8::is_ascii_graphic);
    !has_junk && !holds_address(name) && (is_ascii || !holds_address(field.value))
}

/// Whether a blank line ends the header, or what follows holds no address.
fn ends_certainly(headers: &Headers<'_>) -> bool {
    let rest = headers.unparted();
    let last = headers.fields().last();
    rest.is_empty() || (!holds_address(rest) && !last.as_ref().is_some_and(names_recipients))
}
