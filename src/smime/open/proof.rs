//! Whether a plaintext is what mail looks like: all that speaks for one that no tag covers.

use crate::cms;

/// Whether the first 512 bytes are a strict MIME header, a CMS object, or text without control
/// characters, and enough of it that no wrong key makes it by chance. `padding` is how many bytes of
/// padding came out right.
///
/// A wrong key makes random bytes, and whoever sends many small ciphertexts to one who tries many keys
/// has many throws. A byte of padding is right with a chance of 2⁻⁸; a byte of clean UTF-8 comes with
/// 0.46, or 2⁻¹·¹ (that is the growth of 98/256 for ASCII and what two and three bytes make up); the
/// shortest field, `abc:` and its line end, with 2⁻²². So text must be 32 bytes where one byte is
/// padding (8 + 1.1 · 32 = 43 bits), and a header 16 (8 + 22 + 1.1 · 11 = 42 bits); each more byte of
/// padding stands for eight of these. Below 2⁻⁴⁰ a key. A message may cost at most 2¹⁸ keys, which
/// leaves it less than one in four million; forty keys and 40,000 messages, one in 600,000 for all.
pub(super) fn begins_as_mail_does(plaintext: &[u8], padding: usize) -> bool {
    let head = plaintext.get(..512).unwrap_or(plaintext);
    let cut = plaintext.len() > head.len();
    let padding = 8 * padding;
    is_strict_header(head, cut, padding)
        || cms::sniff(head).is_some()
        || (is_plain_text(head, cut) && padding + head.len() >= 40)
}

/// Lines that are fields or folds, up to the empty line that ends them or to where the head is
/// cut; an entity without a header begins with that empty line, and is text.
fn is_strict_header(head: &[u8], cut: bool, padding: usize) -> bool {
    let long = |header: usize| padding + header >= 24;
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, next) = rest.split_at(at + 1);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            // Where nothing stands above, 128 bytes without control characters (0.88 each) are
            // worth 2⁻²³, and the line end 2⁻¹⁶.
            return if rest.len() < head.len() {
                long(head.len() - next.len())
            } else {
                head.starts_with(b"\r\n")
                    && next.len() >= 128
                    && !next.iter().copied().any(is_control)
            };
        }
        let fold = rest.len() < head.len() && matches!(line.first(), Some(b' ' | b'\t'));
        if !(fold || is_field(line)) || !is_line_of_header(line) {
            return false;
        }
        rest = next;
    }
    rest.len() < head.len()
        && long(head.len())
        && (cut || rest.is_empty() || is_line_of_header(rest))
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

    fn passes(plaintext: &[u8]) -> bool {
        begins_as_mail_does(plaintext, 1)
    }

    #[test]
    fn mail_begins_as_mail_does() {
        assert!(passes(b"Content-Type: text/plain\r\n\r\nhi"));
        assert!(passes(b"Content-Type: a/b\n\n"));
        assert!(passes(b"\r\nno header at all, but some lines of text"));
        let old = [&b"\r\nno header at all, gr\xfc\xdfe"[..], &[b'.'; 110]].concat();
        assert!(passes(&old));
        assert!(passes(
            b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\0\0"
        ));
        assert!(passes(
            b"Content-Type: text/plain;\r\n\tname=\"\xfc.txt\"\r\n\r\n"
        ));
        assert!(!passes(b"Content-Type: te\x8f\x10\xd4\xee\x90n\r\n\r\nhi"));
        assert!(passes(
            "viele herzliche gr\u{fc}\u{df}e von uns allen".as_bytes()
        ));
        assert!(!passes(b"\x8f\x10\xd4garbage!"));
        assert!(!is_strict_header(b"A: b\r\n\r\n and more text", false, 64));
    }

    #[test]
    fn what_is_short_proves_nothing_but_by_its_padding() {
        for short in [&b"abc"[..], b"printed", b"fifteen letters", b"abc:\n\n"] {
            assert!(!passes(short) && begins_as_mail_does(short, 5), "{short:?}");
        }
        assert!(!passes(b""), "a block of padding is eight bytes or more");
        assert!(begins_as_mail_does(b"", 8));
        assert!(!begins_as_mail_does(b"\x01\x02\x03", 13));
    }

    /// One block and two, of eight bytes and of sixteen, with one byte of padding.
    #[test]
    fn random_blocks_do_not_begin_as_mail_does() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for length in [7, 15, 31] {
            for _ in 0..300_000 {
                let mut block = [0_u8; 32];
                for chunk in block.chunks_mut(8) {
                    chunk.copy_from_slice(&next().to_le_bytes());
                }
                let block = &block[..length];
                assert!(!passes(block), "{block:?}");
            }
        }
    }
}
