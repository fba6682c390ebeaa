//! How far encrypted layers are opened, and which cipher encrypts anew.

use p7mill::crypto::cipher::ContentCipher;
use p7mill::ops::Opening;
use p7mill::{Error, Result};

use super::options::{Cipher, Mode, Program};
use super::request::Request;

/// How far to open, and the cipher of what is encrypted anew.
pub(crate) fn opening(request: &Request<'_>, wanted: Opening) -> Result<(Opening, Cipher)> {
    let Some(seal) = request.seal.filter(|_| !request.to.is_empty()) else {
        // Looking without keys would only say `no-key` of what nobody asked to open.
        let open = if wanted == Opening::Look && !request.opens() {
            Opening::Keep
        } else {
            wanted
        };
        return Ok((open, Cipher::Aes256Gcm));
    };
    let cipher = wanted_cipher(seal.cipher, seal.program)?;
    match (seal.mode.unwrap_or(Mode::Rewrap), cipher) {
        (Mode::Rewrap, None) => Ok((Opening::Rewrap, Cipher::Aes256Gcm)),
        (Mode::Rewrap, Some(_)) => Err(Error::Usage(
            "--cipher and --for choose the cipher of new content; --mode rewrap keeps the content as it is: add \
             --mode content, or leave them out"
                .into(),
        )),
        (Mode::Content, None) => Err(Error::Usage(
            "--mode content needs a cipher: add --cipher aes-256-gcm, aes-256-cbc or auto, or --for PROGRAM".into(),
        )),
        (Mode::Content, Some(cipher)) => Ok((Opening::Content, cipher)),
    }
}

/// The cipher that `--cipher` and `--for` ask for, if they do.
pub(crate) fn wanted_cipher(
    cipher: Option<Cipher>,
    program: Option<Program>,
) -> Result<Option<Cipher>> {
    let read = program.map(cipher_of);
    match (cipher, read) {
        (Some(wanted), Some(read)) if wanted != read => Err(Error::Usage(format!(
            "--for names a program that is served with {}, --cipher says {}: leave one of them out",
            cipher_name(read),
            cipher_name(wanted)
        ))),
        (wanted, read) => Ok(wanted.or(read)),
    }
}

pub(crate) fn cipher_name(cipher: Cipher) -> &'static str {
    content_cipher(cipher).map_or("auto", ContentCipher::name)
}

/// `None` for what depends on the recipients.
pub(crate) fn content_cipher(cipher: Cipher) -> Option<ContentCipher> {
    match cipher {
        Cipher::Aes256Gcm => Some(ContentCipher::Aes256Gcm),
        Cipher::Aes256Cbc => Some(ContentCipher::Aes256Cbc),
        Cipher::Auto => None,
    }
}

/// What a program is known to read (docs/reference/cli.md says why).
fn cipher_of(program: Program) -> Cipher {
    match program {
        Program::Outlook | Program::Thunderbird | Program::Apple | Program::Gpgsm => {
            Cipher::Aes256Cbc
        }
        Program::Openssl => Cipher::Aes256Gcm,
    }
}
