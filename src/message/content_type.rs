//! Content-Type, Content-Transfer-Encoding and file names (RFC 2045 §5–6, RFC 2183, RFC 2231),
//! as written by real programs: comments, folds, missing semicolons, raw 8-bit names.

use super::decode;
use super::headers::Headers;
use super::params::split;

/// A media type and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    pub kind: String,
    /// Names in lower case, values unquoted and, after RFC 2231, decoded and joined; in order,
    /// duplicates included.
    pub params: Vec<(String, String)>,
}

impl ContentType {
    /// A type without parameters.
    pub fn bare(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            params: Vec::new(),
        }
    }

    /// Reads a raw field value. A value without a `type/subtype` is `text/plain` (RFC 2045 §5.2),
    /// with whatever parameters it has.
    pub fn parse(value: &[u8]) -> Self {
        let (kind, params) = split(value);
        let lower = kind.to_ascii_lowercase();
        let sound = matches!(lower.split_once('/'), Some((major, minor))
            if !major.is_empty() && !minor.is_empty() && !minor.contains('/') && !lower.contains(char::is_whitespace));
        Self {
            kind: if sound {
                lower
            } else {
                "text/plain".to_owned()
            },
            params,
        }
    }

    /// The first parameter of that name (given in lower case).
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }

    /// Whether this is a `multipart/…`.
    pub fn is_multipart(&self) -> bool {
        self.kind.starts_with("multipart/")
    }

    /// Whether this is a whole message: `message/rfc822` or `message/global` (RFC 6532).
    pub fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "message/rfc822" | "message/global")
    }
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 7bit, 8bit or nothing said.
    Identity,
    /// Bytes that are not lines.
    Binary,
    /// RFC 2045 §6.7.
    QuotedPrintable,
    /// RFC 2045 §6.8.
    Base64,
    /// Anything else.
    Unknown,
}

/// The Content-Type; `None` where the header has none.
pub fn content_type(headers: &Headers<'_>) -> Option<ContentType> {
    headers.first("content-type").map(ContentType::parse)
}

/// The Content-Transfer-Encoding.
pub fn encoding(headers: &Headers<'_>) -> Encoding {
    let Some(value) = headers.first("content-transfer-encoding") else {
        return Encoding::Identity;
    };
    let bare = decode::without_comments(value.get(..1_000).unwrap_or(value));
    let word = bare
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let word = word
        .strip_prefix(b"\"")
        .and_then(|word| word.strip_suffix(b"\""))
        .unwrap_or(word);
    match word.to_ascii_lowercase().as_slice() {
        b"" | b"7bit" | b"8bit" | b"7-bit" | b"8-bit" | b"8bits" | b"7bits" => Encoding::Identity,
        b"binary" => Encoding::Binary,
        b"quoted-printable" => Encoding::QuotedPrintable,
        b"base64" => Encoding::Base64,
        _ => Encoding::Unknown,
    }
}

/// The attachment's name: Content-Disposition's `filename`, else Content-Type's `name`; encoded
/// words in it decoded, although RFC 2047 §5 forbids them there.
pub fn file_name(headers: &Headers<'_>) -> Option<String> {
    let params = headers
        .first("content-disposition")
        .map(|value| split(value).1)
        .unwrap_or_default();
    if let Some(name) = find(&params, "filename") {
        return Some(decoded_name(name));
    }
    content_type(headers)?.param("name").map(decoded_name)
}

/// The same for a part whose Content-Type has been read.
pub(super) fn file_name_of(headers: &Headers<'_>, content_type: &ContentType) -> Option<String> {
    let params = headers
        .first("content-disposition")
        .map(|value| split(value).1)
        .unwrap_or_default();
    find(&params, "filename")
        .or_else(|| content_type.param("name"))
        .map(decoded_name)
}

fn decoded_name(name: &str) -> String {
    if name.contains("=?") {
        decode::text(name.as_bytes())
    } else {
        name.to_owned()
    }
}

fn find<'p>(params: &'p [(String, String)], name: &str) -> Option<&'p str> {
    params
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> ContentType {
        ContentType::parse(value.as_bytes())
    }

    fn named(header: &[u8]) -> Option<String> {
        file_name(&Headers::parse(header))
    }

    #[test]
    fn types_are_read_as_they_are_written_in_the_wild() {
        let ct = parsed(
            "Multipart/Signed (c;o\\)m(ment)); protocol=\"application/pkcs7-signature\" micalg=SHA1;\r\n boundary=\"a\\\"b; c\"",
        );
        assert_eq!(ct.kind, "multipart/signed");
        assert_eq!(ct.param("protocol"), Some("application/pkcs7-signature"));
        assert_eq!(ct.param("micalg"), Some("SHA1"));
        assert_eq!(ct.param("boundary"), Some("a\"b; c"));
        assert_eq!(parsed("text / plain ; charset = utf-8").kind, "text/plain");
        assert_eq!(
            parsed("text / plain ; charset = utf-8").param("charset"),
            Some("utf-8")
        );
        assert_eq!(
            parsed("text/html charset=utf-8").param("charset"),
            Some("utf-8")
        );
        assert_eq!(
            parsed("application/pkcs7-mime;smime-type=enveloped-data;name=smime.p7m").param("name"),
            Some("smime.p7m")
        );
        assert_eq!(
            parsed("multipart/mixed; boundary=----=_Part_1(2)").param("boundary"),
            Some("----=_Part_1(2)")
        );
        assert_eq!(
            parsed("a/b; name=my file.p7m (old); x=y").param("name"),
            Some("my file.p7m")
        );
        assert_eq!(parsed("a/b; x=1; X=2").param("x"), Some("1"));
        for odd in ["", ";", "text", "a/b/c", "a b/c", "/", "a/", "\"a/b\"\""] {
            let _ = parsed(odd);
        }
        assert_eq!(parsed("text; boundary=x").kind, "text/plain");
    }

    #[test]
    fn rfc_2231_values_are_joined_and_decoded() {
        let ct = parsed(
            "a/b; name*1*=%e2%82%ac; name*0*=utf-8''eu; name*2=\".p7m\"; x*=iso-8859-1'de'%e4; y*0=a; y*2=c; z*=koi8-r''%c1",
        );
        assert_eq!(ct.param("name"), Some("eu€.p7m"));
        assert_eq!(ct.param("x"), Some("ä"));
        assert_eq!(ct.param("y"), Some("a"));
        assert_eq!(ct.param("z"), Some("а"));
        assert_eq!(parsed("a/b; n=; n*=utf-8''x").param("n"), Some(""));
        assert_eq!(
            parsed("a/b; n*0=a; n*00=b; n*1=c; n*4294967295=d; n*=e").param("n"),
            Some("ac")
        );
    }

    #[test]
    fn names_survive_raw_and_encoded_bytes() {
        assert_eq!(
            named(b"Content-Disposition: attachment; filename=\"\xe4.p7m\"\n\n"),
            Some("ä.p7m".into())
        );
        assert_eq!(
            named(b"Content-Type: a/b; name=\"=?utf-8?B?w6QucDdt?=\"\n\n"),
            Some("ä.p7m".into())
        );
        assert_eq!(
            named(b"Content-Disposition: attachment\nContent-Type: a/b; name=x\n\n"),
            Some("x".into())
        );
        assert_eq!(named(b"Content-Disposition: attachment\n\n"), None);
    }

    #[test]
    fn encodings_are_known_by_their_words() {
        let of = |value: &str| {
            encoding(&Headers::parse(
                format!("Content-Transfer-Encoding: {value}\n\n").as_bytes(),
            ))
        };
        assert_eq!(of("BASE64 (x)"), Encoding::Base64);
        assert_eq!(of("\"base64\";"), Encoding::Base64);
        assert_eq!(of("Quoted-Printable"), Encoding::QuotedPrintable);
        assert_eq!(of("8Bit"), Encoding::Identity);
        assert_eq!(of(""), Encoding::Identity);
        assert_eq!(of("x-uuencode"), Encoding::Unknown);
        assert_eq!(of("binary"), Encoding::Binary);
    }
}
