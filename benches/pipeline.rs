//! What one message costs, beside a peer that does the same in the same run: OpenSSL's own CMS for
//! verify and decrypt, mailparse for scan, decrypt + encrypt for rewrap. Only ratios mean anything.
//!
//! `cargo bench` uses the sample's keys and messages, and a 46 KB letter made from them.

#![expect(
    clippy::unwrap_used,
    reason = "a bench stops where its data is not there"
)]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openssl::cms::{CMSOptions, CmsContentInfo};
use p7mill::archive::{self, Content};
use p7mill::cert::Certificate;
use p7mill::crypto::SecretKey;
use p7mill::crypto::cipher::ContentCipher;
use p7mill::keys::{KeyRing, Passphrases};
use p7mill::limits::Limits;
use p7mill::message::headers::LineEnding;
use p7mill::message::transfer;
use p7mill::ops::{self, Context, Input, Opening, Task};
use p7mill::smime::seal;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sample-data")
        .join(name)
}

fn context(open: Opening, recipients: Vec<Arc<Certificate>>) -> Context {
    let keyring = KeyRing::load(&[sample("keys")], &mut Passphrases::default()).unwrap();
    let mut context = Context::new(Task::Mill(open), keyring, 1_700_000_000);
    context.plan.recipients = recipients.into_iter().map(Into::into).collect();
    context
}

fn messages() -> Vec<Vec<u8>> {
    let found = archive::discover(&[sample("archive")], &Limits::default()).unwrap();
    let read = |mailbox: &archive::Mailbox| mailbox.messages(&Limits::default()).unwrap();
    found
        .mailboxes
        .iter()
        .flat_map(read)
        .filter_map(|message| match message.unwrap().content {
            Content::Bytes(bytes) => Some(bytes),
            Content::TooLarge { .. } => None,
        })
        .collect()
}

/// The first message of the sample with this form.
fn of_form(form: &str) -> Vec<u8> {
    let context = context(Opening::Keep, Vec::new());
    let has_form = |bytes: &Vec<u8>| {
        let findings = ops::process(&context, &input(bytes)).findings;
        findings
            .messages
            .first()
            .is_some_and(|message| message.form == form)
    };
    messages().into_iter().find(has_form).unwrap()
}

fn input(bytes: &[u8]) -> Input<'_> {
    Input {
        received: Some(1_300_000_000),
        ..Input::of(bytes)
    }
}

/// A recipient whose RSA key the sample holds.
fn reader() -> (Arc<Certificate>, SecretKey) {
    let files = [sample("keys/c.reuter.p12")];
    let keyring = KeyRing::load(&files, &mut Passphrases::default()).unwrap();
    let key = keyring.keys().first().unwrap();
    (key.certificates.first().unwrap().clone(), key.key.clone())
}

/// A message that holds `entity`, encrypted to `certificate`.
fn letter(entity: &[u8], certificate: &Arc<Certificate>) -> Vec<u8> {
    let recipients = &[Arc::clone(certificate).into()];
    let object = seal::seal(entity, recipients, ContentCipher::Aes256Cbc).unwrap();
    let mut mail = b"From: a@nordhafen.example\nSubject: figures\nMIME-Version: 1.0\n\
        Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\
        Content-Transfer-Encoding: base64\n\n"
        .to_vec();
    mail.extend(transfer::base64_lines(&object, LineEnding::Lf));
    mail
}

fn scan(c: &mut Criterion) {
    let context = context(Opening::Keep, Vec::new());
    let all = messages();
    let mut group = c.benchmark_group("scan the sample");
    group.throughput(Throughput::Bytes(
        all.iter().map(|message| message.len() as u64).sum(),
    ));
    group.bench_function("p7mill, signatures checked", |b| {
        let scan = |bytes: &Vec<u8>| {
            ops::process(&context, &input(bytes))
                .findings
                .messages
                .len()
        };
        b.iter(|| all.iter().map(scan).sum::<usize>());
    });
    group.bench_function("mailparse, MIME structure only", |b| {
        let parse = |bytes: &Vec<u8>| mailparse::parse_mail(bytes).map_or(0, |m| m.subparts.len());
        b.iter(|| all.iter().map(parse).sum::<usize>());
    });
    group.finish();
}

fn verify(c: &mut Criterion) {
    let context = context(Opening::Keep, Vec::new());
    let mail = of_form("clear-signed");
    let mut group = c.benchmark_group("verify a clear-signed message, path aside");
    group.bench_function("p7mill", |b| {
        b.iter(|| black_box(ops::process(&context, &input(&mail))));
    });
    group.bench_function("OpenSSL CMS", |b| {
        let store = openssl::x509::store::X509StoreBuilder::new()
            .unwrap()
            .build();
        b.iter(|| {
            let (_, content) = openssl::pkcs7::Pkcs7::from_smime(&mail).unwrap();
            let mut cms = CmsContentInfo::smime_read_cms(&mail).unwrap();
            let flags = CMSOptions::NO_SIGNER_CERT_VERIFY;
            cms.verify(None, Some(&store), content.as_deref(), None, flags)
                .unwrap();
        });
    });
    group.finish();
}

fn decrypt(c: &mut Criterion) {
    let context = context(Opening::Decrypt, Vec::new());
    let (certificate, key) = reader();
    let mut entity = b"Content-Type: text/plain; charset=us-ascii\r\n\r\n".to_vec();
    while entity.len() < 46_000 {
        entity.extend_from_slice(b"All figures are in the ledger that Clara keeps.\r\n");
    }
    let mail = letter(&entity, &certificate);
    let mut group = c.benchmark_group("decrypt a 46 KB message");
    group.throughput(Throughput::Bytes(mail.len() as u64));
    group.bench_function("p7mill", |b| {
        b.iter(|| assert!(ops::process(&context, &input(&mail)).edits.is_some()));
    });
    group.bench_function("OpenSSL CMS", |b| {
        b.iter(|| {
            let cms = CmsContentInfo::smime_read_cms(&mail).unwrap();
            assert_eq!(
                cms.decrypt(&key, &certificate.x509).unwrap().len(),
                entity.len()
            );
        });
    });
    group.finish();
}

fn rewrap(c: &mut Criterion) {
    let (certificate, key) = reader();
    let context = context(Opening::Rewrap, vec![certificate.clone()]);
    let mut entity = b"Content-Type: application/octet-stream\r\n\r\n".to_vec();
    entity.resize(5_000_000, b'x');
    let mail = letter(&entity, &certificate);
    let mut group = c.benchmark_group("rewrap a 5 MB message");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(mail.len() as u64));
    group.bench_function("p7mill", |b| {
        b.iter(|| assert!(ops::process(&context, &input(&mail)).edits.is_some()));
    });
    group.bench_function("OpenSSL CMS, decrypt and encrypt", |b| {
        let mut readers = openssl::stack::Stack::new().unwrap();
        readers.push(certificate.x509.clone()).unwrap();
        b.iter(|| {
            let cms = CmsContentInfo::smime_read_cms(&mail).unwrap();
            let clear = cms.decrypt(&key, &certificate.x509).unwrap();
            let cipher = openssl::symm::Cipher::aes_256_cbc();
            let flags = CMSOptions::BINARY;
            let sealed = CmsContentInfo::encrypt(&readers, &clear, cipher, flags).unwrap();
            black_box(openssl::base64::encode_block(&sealed.to_der().unwrap()));
        });
    });
    group.finish();
}

criterion_group!(benches, scan, verify, decrypt, rewrap);
criterion_main!(benches);
