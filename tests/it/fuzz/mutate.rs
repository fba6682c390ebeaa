//! Alterations that find what parsers get wrong, from a seed: the same in every run.

/// Xorshift.
pub(crate) struct Random(u64);

impl Random {
    /// From a seed, which may be 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `n`, 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (n.max(1) as u64)).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }
}

/// Bytes that mean something to BER, to mail or to both.
const TELLING: [u8; 24] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x24, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xa0,
    0xa1, 0xff, b'\n', b'\r', b'-', b':', b'=', b' ',
];

/// `bytes` with one to five alterations: bits, bytes, stretches taken out, doubled, moved, or taken
/// from `other`. Half of them fall into the first 200 bytes, where structure is.
pub(crate) fn altered(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(5) {
        if out.is_empty() {
            out.push(random.byte());
        }
        let within = if random.below(2) == 0 {
            out.len().min(200)
        } else {
            out.len()
        };
        let at = random.below(within);
        let end = (at + 1 + random.below(64)).min(out.len());
        match random.below(9) {
            0 => out[at] = random.byte(),
            1 => out[at] ^= 1 << random.below(8),
            2 | 3 => out[at] = TELLING[random.below(TELLING.len())],
            4 => drop(out.drain(at..(at + 1 + random.below(4)).min(out.len()))),
            5 => drop(out.drain(at..end)),
            6 => out.insert(at, TELLING[random.below(TELLING.len())]),
            7 => {
                let stretch = out[at..end].to_vec();
                let to = random.below(out.len());
                out.splice(to..to, stretch);
            }
            _ => {
                let from = random.below(other.len());
                let stretch = &other[from..(from + 1 + random.below(64)).min(other.len())];
                out.splice(at..at, stretch.iter().copied());
            }
        }
    }
    out
}
