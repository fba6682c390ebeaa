//! Whether a plaintext is what mail looks like: all that speaks for one that no tag covers.

use crate::cms;

/// Whether the first 512 bytes are a strict MIME header, a CMS object, or text without control
/// characters. A random block passes with a chance below 10⁻⁵ at its shortest, and it must have
/// passed the padding (1 in 256) before.
pub(super) fn begins_as_mail_does(plaintext: &[u8]) -> bool {
    let head = plaintext.get(..512).unwrap_or(plaintext);
    let cut = plaintext.len() > head.len();
    is_strict_header(head, cut) || cms::sniff(head).is_some() || is_plain_text(head, cut)
}

/// Lines that are fields or folds, up to the empty line that ends them or to where the head is
/// cut; an entity without a header begins with that empty line, and is text.
fn is_strict_header(head: &[u8], cut: bool) -> bool {
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, next) = rest.split_at(at + 1);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return rest.len() < head.len()
                || (head.starts_with(b"\r\n") && !next.iter().copied().any(is_control))
                || is_plain_text(next, cut);
        }
        let fold = rest.len() < head.len() && matches!(line.first(), Some(b' ' | b'\t'));
        if !(fold || is_field(line)) || !is_line_of_header(line) {
            return false;
        }
        rest = next;
    }
    rest.len() < head.len() && (cut || rest.is_empty() || is_line_of_header(rest))
}

/// `[A-Za-z][A-Za-z0-9-]{2,}: `, or with nothing after the colon where the value is folded.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else {
        return false;
    };
    let (name, value) = line.split_at(colon);
    colon >= 3
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && matches!(value.get(1), None | Some(b' ' | b'\t'))
}

/// Old clients wrote file names in whatever 8-bit characters they had; everything else in an
/// entity's header is ASCII or UTF-8.
fn is_line_of_header(line: &[u8]) -> bool {
    let names = || {
        line.to_ascii_lowercase()
            .windows(4)
            .any(|word| word == b"name")
    };
    !line.iter().copied().any(is_control) && (std::str::from_utf8(line).is_ok() || names())
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n')) || byte == 0x7f
}

/// ASCII or UTF-8, or in another character set once 64 bytes of ASCII have shown that the first
/// blocks came out right.
fn is_plain_text(head: &[u8], cut: bool) -> bool {
    if head.iter().copied().any(is_control) {
        return false;
    }
    match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => {
            (cut && error.error_len().is_none()) || head.get(..64).is_some_and(<[u8]>::is_ascii)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_begins_as_mail_does() {
        assert!(begins_as_mail_does(b"Content-Type: text/plain\r\n\r\nhi"));
        assert!(begins_as_mail_does(b"\r\nno header at all, gr\xfc\xdfe"));
        assert!(begins_as_mail_does(
            b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\0\0"
        ));
        assert!(begins_as_mail_does(
            b"Content-Type: text/plain;\r\n\tname=\"\xfc.txt\"\r\n\r\n"
        ));
        assert!(!begins_as_mail_does(
            b"Content-Type: te\x8f\x10\xd4\xee\x90n\r\n\r\nhi"
        ));
        assert!(begins_as_mail_does("gr\u{fc}\u{df}e".as_bytes()));
        assert!(!begins_as_mail_does(b"\x8f\x10\xd4garbage!"));
        assert!(!is_strict_header(b"A: b\r\n\r\n", false));
    }

    #[test]
    fn random_blocks_hardly_ever_begin_as_mail_does() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut passed = 0;
        for _ in 0..200_000 {
            let mut block = [0_u8; 24];
            for chunk in block.chunks_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.copy_from_slice(&state.to_le_bytes());
            }
            passed += usize::from(begins_as_mail_does(&block));
        }
        assert!(passed <= 2, "{passed} of 200,000");
    }
}
