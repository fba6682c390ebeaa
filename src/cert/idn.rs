//! Internationalised domain names: a label's ASCII form (RFC 5891 §4.4, RFC 3492).
//!
//! Only from Unicode to ASCII, so that two spellings of one name are compared in the form that DNS
//! knows; nothing is decoded, and nothing is folded but case.

/// Labels longer than this cannot be in DNS.
const MAX_LABEL: usize = 63;

/// The ASCII form of a domain in lower case; `None` where it has none.
pub(super) fn ascii_domain(domain: &str) -> Option<String> {
    let labels: Option<Vec<String>> = domain.split('.').map(ascii_label).collect();
    Some(labels?.join("."))
}

fn ascii_label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_ascii_lowercase());
    }
    if label.len() > MAX_LABEL * 4 {
        return None;
    }
    let characters: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    let encoded = format!("xn--{}", punycode(&characters)?);
    (encoded.len() <= MAX_LABEL).then_some(encoded)
}

/// RFC 3492 §6.3 with the parameters of §5.
fn punycode(characters: &[char]) -> Option<String> {
    const BASE: u32 = 36;
    let mut out: String = characters.iter().filter(|c| c.is_ascii()).collect();
    let basic = u32::try_from(out.len()).ok()?;
    let mut handled = basic;
    if basic > 0 {
        out.push('-');
    }
    let (mut next, mut delta, mut bias) = (128_u32, 0_u32, 72_u32);
    let all = u32::try_from(characters.len()).ok()?;
    while handled < all {
        let smallest = characters
            .iter()
            .map(|c| u32::from(*c))
            .filter(|code| *code >= next)
            .min()?;
        delta = delta.checked_add((smallest - next).checked_mul(handled + 1)?)?;
        next = smallest;
        for code in characters.iter().map(|c| u32::from(*c)) {
            if code < next {
                delta = delta.checked_add(1)?;
            }
            if code != next {
                continue;
            }
            let (mut rest, mut step) = (delta, BASE);
            loop {
                let threshold = step.saturating_sub(bias).clamp(1, 26);
                if rest < threshold {
                    break;
                }
                out.push(digit(threshold + (rest - threshold) % (BASE - threshold))?);
                rest = (rest - threshold) / (BASE - threshold);
                step += BASE;
            }
            out.push(digit(rest)?);
            bias = adapted(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta = delta.checked_add(1)?;
        next += 1;
    }
    Some(out)
}

fn digit(value: u32) -> Option<char> {
    char::from_digit(value.checked_sub(26).unwrap_or(value + 10), 36).filter(|_| value < 36)
}

/// RFC 3492 §6.1.
fn adapted(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut steps = 0;
    while delta > 455 {
        delta /= 35;
        steps += 36;
    }
    steps + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in use, as the registries write them, and RFC 3492 §7.1's Chinese sample.
    #[test]
    fn domains_have_the_ascii_form_that_dns_knows() {
        for (unicode, ascii) in [
            ("müller.example", "xn--mller-kva.example"),
            ("MÜLLER.Example", "xn--mller-kva.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            (
                "他们为什么不说中文.example",
                "xn--ihqwcrb4cv8a8dqg056pqjye.example",
            ),
            ("straße.example", "xn--strae-oqa.example"),
            ("EXAMPLE.org", "example.org"),
        ] {
            assert_eq!(ascii_domain(unicode).as_deref(), Some(ascii));
        }
        assert_eq!(ascii_domain(&"é".repeat(300)), None);
    }
}
