//! Mail addresses in certificates: which there are, and when two are the same.

use std::collections::HashSet;

use super::{idn, name};

/// Whether two mail addresses are the same for a signature's sake: without regard to ASCII case.
///
/// The domain never has case. Of the local part RFC 5280 says two things: an `emailAddress` is
/// "not case-sensitive" (§4.1.2.6), an rfc822Name is compared exactly (§7.5). Archives hold
/// `Jane.Doe@` and `jane.doe@` for one mailbox throughout, and no mail system in use keeps two
/// mailboxes apart by case alone, so the tolerant reading is taken for both.
///
/// An internationalised domain is the same in Unicode and in its ASCII form (`xn--`, RFC 5890
/// §2.3.2.1), as a `SmtpUTF8Mailbox` (RFC 9598 §5) and a From field may each have either. Other
/// letters than ASCII's are compared as they are but for case: what only looks alike is not alike.
pub fn same_address(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    if a.is_ascii() && b.is_ascii() {
        return false;
    }
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((local_a, domain_a)), Some((local_b, domain_b))) => {
            local_a.eq_ignore_ascii_case(local_b)
                && idn::ascii_domain(domain_a)
                    .zip(idn::ascii_domain(domain_b))
                    .is_some_and(|(a, b)| a == b)
        }
        _ => false,
    }
}

/// `address` with its domain in lower case; `None` where it is no plain address: no `@`, an
/// empty side, white space or a control character (NUL above all) in it, or over 1,000 bytes.
pub fn clean_address(address: &str) -> Option<String> {
    let address = address.trim();
    let (local, domain) = address.rsplit_once('@')?;
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if local.is_empty() || domain.is_empty() || address.len() > 1_000 || address.contains(odd) {
        return None;
    }
    Some(format!("{local}@{}", domain.to_ascii_lowercase()))
}

pub(super) fn addresses(alternative_names: &[String], subject: &[u8]) -> Vec<String> {
    let mut seen = HashSet::new();
    let in_subject = name::email_addresses(subject);
    alternative_names
        .iter()
        .chain(&in_subject)
        .filter_map(|address| clean_address(address))
        .filter(|address| seen.insert(address.to_ascii_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_nul_or_a_line_end_is_dropped() {
        for bad in [
            "a@b.c\0@evil",
            "a@b\r\nBcc: c@d",
            "no-at",
            "@b",
            "a@",
            "a b@c",
            "",
        ] {
            assert_eq!(clean_address(bad), None, "{bad:?}");
        }
        assert_eq!(
            clean_address(" A@B.Example ").as_deref(),
            Some("A@b.example")
        );
    }
}
