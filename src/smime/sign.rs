//! An entity → its signed form: `multipart/signed`, or SignedData that holds it (RFC 8551 §3.5).

use std::sync::Arc;

use crate::cert::Certificate;
use crate::cms::oid::{self, Oid};
use crate::cms::signing::{self, Named, SignedAttributes};
use crate::cms::{ber, der};
use crate::crypto::digest::{self, Digest};
use crate::crypto::signing::{Algorithms, Scheme, algorithms, sign as signature};
use crate::crypto::{Failed, Unsupported};
use crate::keys::keyring::PrivateKey;
use crate::limits::Budget;
use crate::message::headers::LineEnding;
use crate::message::{transfer, transport};

/// What p7mill itself opens and says so with every signature, the preferred first.
pub const CAPABILITIES: &[Oid<'static>] = &[
    oid::AES256_GCM,
    oid::AES128_GCM,
    oid::AES256_CBC,
    oid::AES192_CBC,
    oid::AES128_CBC,
];

/// What every S/MIME program in use opens, for those who read their mail with another one.
pub const CAPABILITIES_CBC: &[Oid<'static>] = &[oid::AES256_CBC, oid::AES192_CBC, oid::AES128_CBC];

/// Someone who signs.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The key.
    pub key: Arc<PrivateKey>,
    /// The certificate that is named.
    pub certificate: Arc<Certificate>,
    /// The certificates above it, as far as they are known, the root included.
    pub path: Vec<Arc<Certificate>>,
    /// The signer's certificate for encryption, where that is another one.
    pub encryption: Option<Arc<Certificate>>,
    /// The content ciphers that the signer's program opens, the preferred first.
    pub capabilities: &'static [Oid<'static>],
}

impl Signer {
    /// The algorithms that the key signs with.
    ///
    /// # Errors
    /// [`Unsupported`] where it is no key to sign with today.
    pub fn algorithms(&self) -> Result<Algorithms, Unsupported> {
        algorithms(&self.key.key)
    }
}

/// How the signature and what it covers are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `multipart/signed`: readable without S/MIME.
    Detached,
    /// `application/pkcs7-mime; smime-type=signed-data`: the entity is inside.
    Opaque,
}

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No key to sign with.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// OpenSSL did not sign, or there is no way to write the time.
    #[error("no signature could be made")]
    Failed,
}

impl From<Failed> for Problem {
    fn from(_: Failed) -> Self {
        Self::Failed
    }
}

/// Signs `entity` (`Content-*` fields, blank line, body) at `now`, Unix seconds. The entity that
/// comes out has the line ends `ending`.
///
/// Content is made transport-safe first ([`transport::seven_bit`]). Where that cannot be, it goes
/// into the SignedData as it is, whatever `form` says: there base64 protects it.
///
/// # Errors
/// [`Problem`], none of which depends on what `entity` says.
pub fn sign(
    entity: &[u8],
    signer: &Signer,
    now: i64,
    form: Form,
    ending: LineEnding,
    budget: &mut Budget,
) -> Result<Vec<u8>, Problem> {
    let safe = transport::seven_bit(entity, budget);
    match (form, safe) {
        (Form::Detached, Some(content)) => {
            let object = signed_data(&content, signer, now, true)?;
            let micalg = micalg(signer.algorithms()?.digest);
            Ok(multipart_signed(&content, &object, micalg, ending))
        }
        (Form::Opaque, Some(content)) => {
            let object = signed_data(&content, signer, now, false)?;
            Ok(opaque(&object, ending))
        }
        (_, None) => {
            // In a binary part a line feed is no line end.
            let binary = memchr::memmem::find(entity, b"binary").is_some();
            let content = if binary {
                entity.into()
            } else {
                transfer::to_crlf(entity)
            };
            let object = signed_data(&content, signer, now, false)?;
            Ok(opaque(&object, ending))
        }
    }
}

/// The SignedData over `content`, DER.
fn signed_data(
    content: &[u8],
    signer: &Signer,
    now: i64,
    detached: bool,
) -> Result<Vec<u8>, Problem> {
    let algorithms = signer.algorithms()?;
    let certificate = &signer.certificate;
    let named = Named {
        issuer: &certificate.issuer_der,
        serial: &certificate.serial,
        digest: &digest_algorithm(algorithms.digest),
        signature: &signature_algorithm(algorithms),
    };
    let mut attributes = vec![
        signing::content_type(),
        signing::message_digest(&digest::hash(algorithms.digest, [content])),
        signing::signing_time(now).ok_or(Problem::Failed)?,
        signing::smime_capabilities(signer.capabilities),
        signing::signing_certificate_v2(
            &certificate.sha256,
            &certificate.issuer_der,
            &certificate.serial,
        ),
        signing::algorithm_protection(&named),
    ];
    if let Some(other) = &signer.encryption {
        attributes.push(signing::encryption_key_preference(
            &other.issuer_der,
            &other.serial,
        ));
    }
    let attributes = SignedAttributes::new(&attributes);
    let value = signature(&signer.key.key, algorithms, attributes.to_be_signed())?;
    let mut certificates: Vec<&[u8]> = vec![&certificate.der];
    certificates.extend(
        signer
            .path
            .iter()
            .chain(&signer.encryption)
            .map(|c| &*c.der),
    );
    certificates.sort_unstable();
    certificates.dedup();
    Ok(signing::signed_data(
        (!detached).then_some(content),
        &certificates,
        &named,
        &attributes,
        &value,
    ))
}

/// SHA-2 without parameters (RFC 5754 §2), SHAKE256 with its 512 bits (RFC 8419 §3.1).
fn digest_algorithm(digest: Digest) -> Vec<u8> {
    match digest {
        Digest::Sha384 => der::algorithm(oid::SHA384, None),
        Digest::Sha512 => der::algorithm(oid::SHA512, None),
        Digest::Shake256 => der::algorithm(oid::SHAKE256_LEN, Some(&der::integer(512))),
        _ => der::algorithm(oid::SHA256, None),
    }
}

/// RSA as `rsaEncryption`, the one identifier that every implementation knows (RFC 5754 §3.2).
fn signature_algorithm(algorithms: Algorithms) -> Vec<u8> {
    match (algorithms.scheme, algorithms.digest) {
        (Scheme::RsaPkcs1, _) => der::algorithm(oid::RSA_ENCRYPTION, Some(&[ber::tag::NULL, 0])),
        (Scheme::RsaPss, digest) => der::algorithm(oid::RSASSA_PSS, Some(&pss_parameters(digest))),
        (Scheme::Ecdsa, Digest::Sha384) => der::algorithm(oid::ECDSA_WITH_SHA384, None),
        (Scheme::Ecdsa, Digest::Sha512) => der::algorithm(oid::ECDSA_WITH_SHA512, None),
        (Scheme::Ecdsa, _) => der::algorithm(oid::ECDSA_WITH_SHA256, None),
        (Scheme::Ed25519, _) => der::algorithm(oid::ED25519, None),
        (Scheme::Ed448, _) => der::algorithm(oid::ED448, None),
    }
}

/// RSASSA-PSS-params with one digest throughout and a salt as long (RFC 4056 §2.2).
fn pss_parameters(digest: Digest) -> Vec<u8> {
    let explicit = |number, value: &[u8]| der::element(ber::tag::constructed(number), &[value]);
    let hash = digest_algorithm(digest);
    der::sequence(&[
        &explicit(0, &hash),
        &explicit(1, &der::algorithm(oid::MGF1, Some(&hash))),
        &explicit(2, &der::integer(digest.size() as u64)),
    ])
}

/// As `micalg` names it (RFC 8551 §3.5.3.2, IANA's hash function textual names).
fn micalg(digest: Digest) -> &'static str {
    match digest {
        Digest::Sha384 => "sha-384",
        Digest::Sha512 => "sha-512",
        Digest::Shake256 => "shake256",
        _ => "sha-256",
    }
}

/// RFC 8551 §3.5.3. The boundary is made of the content's hash, so no content can hold it.
fn multipart_signed(content: &[u8], object: &[u8], micalg: &str, ending: LineEnding) -> Vec<u8> {
    let hash = digest::sha256(content);
    let boundary = format!(
        "p7mill-{}",
        crate::text::hex(hash.get(..20).unwrap_or_default())
    );
    let end = std::str::from_utf8(ending.as_bytes()).unwrap_or("\n");
    let head = format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";{end} \
         micalg={micalg}; boundary=\"{boundary}\"{end}{end}\
         This is a cryptographically signed message in MIME format.{end}{end}--{boundary}{end}"
    );
    let middle = format!(
        "{end}--{boundary}{end}\
         Content-Type: application/pkcs7-signature; name=\"smime.p7s\"{end}\
         Content-Transfer-Encoding: base64{end}\
         Content-Disposition: attachment; filename=\"smime.p7s\"{end}{end}"
    );
    [
        head.as_bytes(),
        &transport::with_ending(content, ending),
        middle.as_bytes(),
        &transfer::base64_lines(object, ending),
        format!("{end}--{boundary}--{end}").as_bytes(),
    ]
    .concat()
}

/// RFC 8551 §3.5.2.
fn opaque(object: &[u8], ending: LineEnding) -> Vec<u8> {
    let end = std::str::from_utf8(ending.as_bytes()).unwrap_or("\n");
    let head = format!(
        "Content-Type: application/pkcs7-mime; smime-type=signed-data;{end} name=\"smime.p7m\"{end}\
         Content-Transfer-Encoding: base64{end}\
         Content-Disposition: attachment; filename=\"smime.p7m\"{end}{end}"
    );
    [head.as_bytes(), &transfer::base64_lines(object, ending)].concat()
}
