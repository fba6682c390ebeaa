//! A sliding view on a stream, addressed by absolute offset, so that the splitter can look ahead
//! without caring where a read ended.

use std::io::{ErrorKind, Read};

/// What one read asks for: as fast as mapping the file, without its memory (measured).
pub(crate) const CHUNK: usize = 1 << 20;

/// The bytes `base .. base + held` of a stream.
#[derive(Debug)]
pub(crate) struct Window<R> {
    input: R,
    /// The first `held` are the stream's; the rest is room, kept so that it is cleared only once.
    bytes: Vec<u8>,
    held: usize,
    /// The offset of `bytes[0]`.
    base: u64,
    /// Everything before is no longer needed.
    low: u64,
    ended: bool,
    chunk: usize,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(input: R) -> Self {
        Self::with_chunk(input, CHUNK)
    }

    pub(crate) fn with_chunk(input: R, chunk: usize) -> Self {
        Self {
            input,
            bytes: Vec::new(),
            held: 0,
            base: 0,
            low: 0,
            ended: false,
            chunk: chunk.max(1),
        }
    }

    /// As if `offset` bytes had been read and let go of.
    #[cfg(test)]
    pub(crate) fn beginning_at(mut self, offset: u64) -> Self {
        (self.base, self.low) = (offset, offset);
        self
    }

    /// The offset behind the last byte held.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.held as u64
    }

    /// The offset of the first byte held.
    pub(crate) fn start(&self) -> u64 {
        self.base
    }

    /// Whether everything from `end` on is past the stream's end.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn input(&self) -> &R {
        &self.input
    }

    /// Lets go of everything before `offset`.
    pub(crate) fn forget_before(&mut self, offset: u64) {
        self.low = self.low.max(offset.min(self.end()));
    }

    /// The bytes from `from` to `to`, as far as they are held.
    pub(crate) fn slice(&self, from: u64, to: u64) -> &[u8] {
        let index =
            |offset: u64| usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let to = index(to).min(self.held);
        self.bytes.get(index(from).min(to)..to).unwrap_or_default()
    }

    /// Reads on until `end` is held or the stream has ended; says whether it is held.
    pub(crate) fn reach(&mut self, end: u64) -> std::io::Result<bool> {
        while self.end() < end && !self.ended {
            self.read_more()?;
        }
        Ok(self.end() >= end)
    }

    /// Reads one chunk.
    pub(crate) fn read_more(&mut self) -> std::io::Result<()> {
        if self.ended {
            return Ok(());
        }
        // Moving what is kept only once as much is dropped keeps the cost at one move a byte.
        let dead = usize::try_from(self.low - self.base)
            .unwrap_or(usize::MAX)
            .min(self.held);
        if dead * 2 >= self.held && dead > 0 {
            self.bytes.copy_within(dead..self.held, 0);
            self.held -= dead;
            self.base += dead as u64;
        }
        let wanted = self.held + self.chunk;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted + wanted / 2, 0);
        } else if self.bytes.len() / 8 > wanted {
            // One large message is no reason to hold its room to the end of the run.
            self.bytes.truncate(wanted);
            self.bytes.shrink_to_fit();
        }
        let space = self
            .bytes
            .get_mut(self.held..self.held + self.chunk)
            .unwrap_or_default();
        let result = loop {
            match self.input.read(space) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let got = result?;
        self.held += got;
        self.ended = got == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_hold_whatever_is_forgotten() {
        let data: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let mut window = Window::with_chunk(data.as_slice(), 7);
        let mut at = 0;
        while window.reach(at + 100).unwrap() {
            let from = usize::try_from(at).unwrap();
            assert_eq!(window.slice(at, at + 100), &data[from..from + 100]);
            window.forget_before(at + 33);
            assert!(window.held < 400);
            at += 33;
        }
        assert_eq!(window.end(), 10_000);
        assert!(window.ended());
        assert_eq!(window.slice(9_999, 20_000), &data[9_999..]);
    }
}
