//! Addresses in From, To and the like (RFC 5322 §3.4, obsolete forms of §4.4 included).
//!
//! An audit compares these with certificates, so only what stands where an address belongs is one:
//! display names, group names, comments, routes and encoded words never are. What cannot be read
//! is left out and said ([`AddressList::malformed`]), never guessed at.

/// Addresses that are read from one message's fields of one name.
pub const MAX_ADDRESSES: usize = 1_000;

/// Words of one list element that are kept; an address has few, so more is no address.
const MAX_WORDS: usize = 128;

/// Bytes of a domain literal such as `[192.0.2.1]`.
const MAX_LITERAL: usize = 256;

/// The addresses of some fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    /// `local@domain`: the domain in lower case (ASCII) without a final dot; the local part as
    /// written, quoted only where it must be.
    pub addresses: Vec<String>,
    /// An element was neither an address nor empty, so that another reader may see another one.
    pub malformed: bool,
    /// There were more than [`MAX_ADDRESSES`].
    pub cut: bool,
}

/// The addresses of one raw field value.
pub fn parse(value: &[u8]) -> AddressList {
    let mut list = AddressList::default();
    parse_into(value, &mut list);
    list
}

/// Adds the addresses of one raw field value.
pub(super) fn parse_into(value: &[u8], list: &mut AddressList) {
    let mut element = Element::default();
    let mut in_group = false;
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        if list.addresses.len() >= MAX_ADDRESSES {
            list.cut = true;
            return;
        }
        match byte {
            b',' | b';' => {
                std::mem::take(&mut element).finish(list);
                in_group &= byte == b',';
                at += 1;
            }
            // The name of a group; in a route the colon is inside angle brackets.
            b':' if element.open.is_none() => {
                list.malformed |= in_group || element.angle.is_some();
                in_group = true;
                element = Element::default();
                at += 1;
            }
            b'<' => {
                element.open_angle();
                at += 1;
                if let Some(route) = route_len(value.get(at..).unwrap_or_default()) {
                    at += route;
                }
            }
            b'>' => {
                element.close_angle();
                at += 1;
            }
            b'(' => {
                let Some(len) = comment_len(value.get(at..).unwrap_or_default()) else {
                    list.malformed = true;
                    break;
                };
                at += len;
            }
            b'"' => {
                let Some((content, len)) = quoted(value.get(at..).unwrap_or_default()) else {
                    list.malformed = true;
                    return;
                };
                element.push(Word::Quoted(content));
                at += len;
            }
            b'[' => {
                let rest = value.get(at..).unwrap_or_default();
                let len = rest
                    .iter()
                    .take(MAX_LITERAL)
                    .position(|byte| *byte == b']')
                    .map_or(1, |end| end + 1);
                element.push(Word::Literal(rest.get(..len).unwrap_or_default().to_vec()));
                at += len;
            }
            b'@' => {
                element.push(Word::At);
                at += 1;
            }
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                let rest = value.get(at..).unwrap_or_default();
                let len = rest
                    .iter()
                    .position(|byte| is_special(*byte))
                    .unwrap_or(rest.len())
                    .max(1);
                element.push(Word::Atom(rest.get(..len).unwrap_or_default().to_vec()));
                at += len;
            }
        }
    }
    element.finish(list);
    list.cut |= list.addresses.len() > MAX_ADDRESSES;
    list.addresses.truncate(MAX_ADDRESSES);
}

#[derive(Debug)]
enum Word {
    /// Text without specials; dots included.
    Atom(Vec<u8>),
    Quoted(Vec<u8>),
    /// `[192.0.2.1]`
    Literal(Vec<u8>),
    At,
}

/// One element of the list: words outside angle brackets, and those inside.
#[derive(Debug, Default)]
struct Element {
    outside: Vec<Word>,
    /// Inside a pair that is still open.
    open: Option<Vec<Word>>,
    /// Inside the pair that was closed.
    angle: Option<Vec<Word>>,
    /// Of a second pair in the same element.
    more: Vec<Vec<Word>>,
    malformed: bool,
}

impl Element {
    fn push(&mut self, word: Word) {
        let words = self.open.as_mut().unwrap_or(&mut self.outside);
        if words.len() < MAX_WORDS {
            words.push(word);
        } else {
            // A display name may be long; an address that long is dropped with its last words.
            self.malformed |= self.open.is_some();
        }
    }

    fn open_angle(&mut self) {
        self.malformed |= self.open.is_some();
        self.open.get_or_insert_default();
    }

    fn close_angle(&mut self) {
        match self.open.take() {
            Some(words) if self.angle.is_none() => self.angle = Some(words),
            Some(words) if self.more.len() < MAX_WORDS => self.more.push(words),
            _ => self.malformed = true,
        }
    }

    fn finish(self, list: &mut AddressList) {
        list.malformed |= self.malformed || self.open.is_some() || !self.more.is_empty();
        let empty = self.outside.is_empty() && self.angle.is_none() && self.open.is_none();
        if empty || self.open.is_some() || self.malformed {
            return;
        }
        let words = match &self.angle {
            Some(words) if words.is_empty() => return,
            Some(words) => words,
            None => &self.outside,
        };
        for words in std::iter::once(words).chain(&self.more) {
            match address(words) {
                Some(address) => list.addresses.push(address),
                None => list.malformed = true,
            }
        }
    }
}

/// `local@domain` of the words of an addr-spec.
fn address(words: &[Word]) -> Option<String> {
    let at = words.iter().position(|word| matches!(word, Word::At))?;
    let (local, domain) = (words.get(..at)?, words.get(at + 1..)?);
    let domain = domain_name(domain)?;
    let local = dotted(local, true)?;
    let local = std::str::from_utf8(&local).ok()?;
    if local.is_empty() || local.chars().chain(domain.chars()).any(char::is_control) {
        return None;
    }
    let encoded_word = local.starts_with("=?") && local.contains('?');
    let plain = !local.bytes().any(|byte| is_special(byte) || byte == b'\\');
    if plain {
        return (!encoded_word).then(|| format!("{local}@{domain}"));
    }
    let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("\"{escaped}\"@{domain}"))
}

/// A host name or literal, as it is compared.
fn domain_name(words: &[Word]) -> Option<String> {
    if let [Word::Literal(literal)] = words {
        let literal = std::str::from_utf8(literal).ok()?.to_ascii_lowercase();
        return literal.ends_with(']').then_some(literal);
    }
    let bytes = dotted(words, false)?;
    let name = std::str::from_utf8(bytes.strip_suffix(b".").unwrap_or(&bytes))
        .ok()?
        .to_ascii_lowercase();
    let sound = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii())
    };
    name.split('.').all(sound).then_some(name)
}

/// Atoms and quoted strings joined at dots (`a . b` is an obsolete form of `a.b`); `None` where
/// two words stand without a dot between them.
fn dotted(words: &[Word], quotes: bool) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let (bytes, is_quoted) = match word {
            Word::Atom(bytes) if bytes.contains(&b'\\') => return None,
            Word::Atom(bytes) => (bytes, false),
            Word::Quoted(bytes) if quotes => (bytes, true),
            _ => return None,
        };
        let joined = i == 0 || out.ends_with(b".") || (!is_quoted && bytes.starts_with(b"."));
        if !joined {
            return None;
        }
        out.extend_from_slice(bytes);
    }
    Some(out)
}

/// What ends an atom (RFC 5322 §3.2.3, the dot excepted) and what must be quoted in a local part.
fn is_special(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')'
            | b'<'
            | b'>'
            | b'['
            | b']'
            | b':'
            | b';'
            | b'@'
            | b','
            | b'"'
            | b' '
            | b'\t'
            | b'\r'
            | b'\n'
    )
}

/// The length of the obsolete route `@a,@b:` that `rest` begins with.
fn route_len(rest: &[u8]) -> Option<usize> {
    if rest.trim_ascii_start().first() != Some(&b'@') {
        return None;
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b':' | b'>' | b'<' | b'"' | b'('))?;
    (rest.get(end) == Some(&b':')).then_some(end + 1)
}

/// The length of the comment that `rest` begins with; comments nest.
fn comment_len(rest: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = rest.iter().enumerate();
    while let Some((i, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'(' => depth += 1,
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The content of the quoted string that `rest` begins with, unfolded and unescaped, and its
/// length with the quotes.
fn quoted(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    let mut bytes = rest.iter().enumerate().skip(1);
    while let Some((i, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((content, i + 1)),
            b'\\' => content.push(*bytes.next()?.1),
            b'\r' | b'\n' => {}
            _ => content.push(*byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &[&str]) {
        let list = parse(value.as_bytes());
        assert_eq!(list.addresses, expected, "{value}");
        assert!(!list.malformed, "{value}");
    }

    #[track_caller]
    fn check_odd(value: &[u8], expected: &[&str]) {
        let list = parse(value);
        assert_eq!(
            list.addresses,
            expected,
            "{}",
            String::from_utf8_lossy(value)
        );
        assert!(list.malformed, "{}", String::from_utf8_lossy(value));
    }

    #[test]
    fn only_addresses_count() {
        check("a@b.c", &["a@b.c"]);
        check("\"a@b\" <c@d>", &["c@d"]);
        check("a@b <c@d>", &["c@d"]);
        check("a@b, c@d", &["a@b", "c@d"]);
        check("=?utf-8?q?evil=40x.com?= <c@d>", &["c@d"]);
        check("<a@b> \"c@d\" (e@f)", &["a@b"]);
        check(
            "John (the (great) \\) x@y) <Jo.Hn@EXAMPLE.Com.>",
            &["Jo.Hn@example.com"],
        );
        check("Friends: a@b, X <c@d>; , e@f", &["a@b", "c@d", "e@f"]);
        check("undisclosed-recipients:;", &[]);
        check("<@x,@y:a@b>", &["a@b"]);
        check(
            "\"john \\\"d\\\" o@e\"@x.y",
            &["\"john \\\"d\\\" o@e\"@x.y"],
        );
        check("\"simple\"@x.y", &["simple@x.y"]);
        check("a . b @ c . d", &["a.b@c.d"]);
        check("foo..bar.@docomo.ne.jp", &["foo..bar.@docomo.ne.jp"]);
        check("a@[192.0.2.1]", &["a@[192.0.2.1]"]);
        check("jörg@exämple.DE", &["jörg@exämple.de"]);
        check("<>", &[]);
        check("\"A, B\"\r\n <a@b>,\r\n\tc@d", &["a@b", "c@d"]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_address_is_said_not_guessed() {
        check_odd(b"=?utf-8?q?a?=@b.com", &[]);
        check_odd(b"<=?utf-8?q?a?=@b.com>", &[]);
        check_odd(b"a@=?utf-8?q?b.com?=", &[]);
        check_odd(b"John Doe a@b", &[]);
        check_odd(b"a@b c@d", &[]);
        check_odd(b"<a@b> <c@d>", &["a@b", "c@d"]);
        check_odd(b"\"unclosed <a@b>", &[]);
        check_odd(b"a@b (unclosed", &["a@b"]);
        check_odd(b"<a@b, c@d", &["c@d"]);
        check_odd(b"a@b\0c.d", &[]);
        check_odd(b"a@b@c", &[]);
        check_odd(b"a@, @b, a@.b, a@b..c, a", &[]);
        check_odd(b"\xff@b.c", &[]);
        check_odd(b"a: b: c@d;", &["c@d"]);
        check_odd(b"a\\@b@c.d", &[]);
    }

    #[test]
    fn a_hostile_list_is_cut_in_linear_time() {
        let start = std::time::Instant::now();
        let list = parse("a@b,".repeat(5_000).as_bytes());
        assert_eq!((list.addresses.len(), list.cut), (MAX_ADDRESSES, true));
        for piece in [
            "[", "(", "<", "<@a", "\"", "a ", "<a>", ":", "@", "\\", "[]", "<@a:", "()", "\"\"",
        ] {
            let _ = parse(piece.repeat(2_000_000 / piece.len()).as_bytes());
        }
        assert!(start.elapsed().as_secs() < 10);
    }
}
