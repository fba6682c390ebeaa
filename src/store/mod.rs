//! The certificate store: one SQLite file of certificates, the messages they were seen in, and
//! which of them may be used.
//!
//! A certificate is `usable` only by an intact signature whose address is the sender's, with a
//! trusted chain. Everything else is kept with its reason and never chosen.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::fsio;

pub mod export;
mod insert;
mod list;
mod schema;
mod select;
mod status;

pub use insert::{Inserted, SaidCapabilities, Sighting};
pub use list::{Filter, StoredCertificate, StoredSighting};
pub use select::{Candidate, Choice, Refused};
pub use status::Status;

/// An open store. Only one run at a time holds a store.
pub struct Store {
    // Fields drop in this order: the lock outlives the connection.
    connection: Connection,
    /// Of the tables in the file.
    version: i32,
    path: PathBuf,
    _lock: fsio::Lock,
}

impl Store {
    /// Opens the store at `path`; with `create`, makes an empty one (mode 0600) where there is
    /// none.
    ///
    /// # Errors
    /// [`Error::Busy`] where another run holds it, [`Error::Usage`] where there is none, or it is
    /// not p7mill's, or a newer p7mill's; [`Error::Damaged`] where SQLite cannot read it.
    pub fn open(path: &Path, create: bool) -> Result<Self> {
        let exists = path.exists();
        if !exists && !create {
            return Err(Error::Usage(format!(
                "{}: there is no such certificate store",
                path.display()
            )));
        }
        if path.is_dir() {
            return Err(Error::Usage(format!(
                "{}: a folder, where a certificate store is a file",
                path.display()
            )));
        }
        // SQLite locks byte ranges and this locks the file: they do not meet, nothing stray is
        // left beside the store, and the file is made here, with its mode.
        // The user's own link to a store is followed; the lock itself follows none.
        let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let lock = fsio::Lock::take(&place, path)?;
        if !exists {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            fsio::sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|source| failure(path, source))?;
        let version = schema::prepare(&connection, path)?;
        Ok(Self {
            connection,
            version,
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn wrap<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|source| failure(&self.path, source))
    }
}

/// What an error of SQLite's means for the run.
fn failure(path: &Path, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    match source.sqlite_error_code() {
        Some(NotADatabase) => Error::Usage(format!("{}: not a certificate store", path.display())),
        Some(DatabaseBusy | DatabaseLocked) => Error::Busy(path.to_path_buf()),
        Some(DatabaseCorrupt) => Error::Damaged {
            path: path.to_path_buf(),
            what: format!("{source}; restore a copy, or name a new --store and harvest again"),
        },
        _ => Error::Store {
            path: path.to_path_buf(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::*;
    use crate::cert::Certificate;
    use crate::cert::testing::{MID_2021, Pki, Spec};
    use crate::ops::outcome::Reason;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("certs.db"), true).unwrap();
        (dir, store)
    }

    fn seen(certificate: &Certificate, message: u8, reason: Option<&'static str>) -> Sighting {
        Sighting {
            cert_sha256: certificate.sha256,
            message_sha256: [message; 32],
            message_id: format!("{message}@x"),
            date: Some(i64::from(message)),
            usable: reason.is_none(),
            reasons: reason.into_iter().map(Reason::from).collect(),
            revoked: false,
            capabilities: None,
        }
    }

    /// Inserts one certificate with one sighting; its status and reasons afterwards.
    fn insert(
        store: &mut Store,
        certificate: &Arc<Certificate>,
        message: u8,
        reason: Option<&'static str>,
    ) -> (Status, String) {
        store
            .insert(&[(
                Arc::clone(certificate),
                vec![seen(certificate, message, reason)],
                false,
            )])
            .unwrap();
        standing(store, certificate)
    }

    fn standing(store: &Store, certificate: &Certificate) -> (Status, String) {
        let all = store.certificates().unwrap();
        let found = all
            .iter()
            .find(|stored| stored.sha256 == certificate.sha256)
            .unwrap();
        (found.status, found.reasons.join(" "))
    }

    fn word(status: Status, reasons: &str) -> (Status, String) {
        (status, reasons.to_owned())
    }

    #[test]
    fn what_its_issuer_revoked_is_usable_no_longer() {
        let pki = Pki::new();
        pki.issue(&Spec::root("ca"));
        let ann = pki.issue(&Spec::leaf("ann", "ca"));
        let (_dir, mut store) = store();
        assert_eq!(insert(&mut store, &ann, 1, None), word(Status::Usable, ""));
        let revoked = Sighting {
            revoked: true,
            ..seen(&ann, 1, None)
        };
        store
            .insert(&[(Arc::clone(&ann), vec![revoked], false)])
            .unwrap();
        let quarantined = word(Status::Quarantined, "cert-revoked");
        assert_eq!(standing(&store, &ann), quarantined);
        // Without the list at hand, and with another good signature from before.
        assert_eq!(insert(&mut store, &ann, 2, None), quarantined);
    }

    #[test]
    fn only_proof_makes_usable_and_nothing_takes_it_away() {
        let pki = Pki::new();
        pki.issue(&Spec::root("ca"));
        pki.issue(&Spec::root("other"));
        let ann = pki.issue(&Spec::leaf("ann", "ca"));
        let (_dir, mut store) = store();
        assert_eq!(
            insert(&mut store, &ann, 1, Some("digest-mismatch")),
            word(Status::Quarantined, "digest-mismatch")
        );
        assert!(
            store
                .for_address("ann@example.com", MID_2021)
                .unwrap()
                .is_empty()
        );
        assert_eq!(insert(&mut store, &ann, 2, None), word(Status::Usable, ""));
        assert_eq!(
            insert(&mut store, &ann, 3, Some("chain-untrusted")),
            word(Status::Usable, "")
        );

        // Another issuer's, overlapping: quarantined for good, the first unharmed.
        let rival = pki.issue(&Spec::leaf("rival", "other").address("ANN@Example.com"));
        for message in 4..6 {
            assert_eq!(
                insert(&mut store, &rival, message, None),
                word(Status::Quarantined, "conflicting-issuer")
            );
        }
        assert_eq!(standing(&store, &ann), word(Status::Usable, ""));
        // Another issuer's after the first has ended, and a renewal by the same: no rivals.
        let later = Spec::leaf("later", "other").address("ann@example.com");
        let later = pki.issue(&later.dates("20230101000000Z", "20240101000000Z"));
        assert_eq!(
            insert(&mut store, &later, 7, None),
            word(Status::Usable, "")
        );
        let renewed = pki.issue(
            &Spec::leaf("renewed", "ca")
                .address("ann@example.com")
                .key_of("ann"),
        );
        assert_eq!(
            insert(&mut store, &renewed, 8, None),
            word(Status::Usable, "")
        );

        // A rival that the administrator names is used, and takes nothing away either.
        let named = pki.issue(&Spec::leaf("named", "other").address("ann@example.com"));
        store.insert_given(&[Arc::clone(&named)]).unwrap();
        assert_eq!(insert(&mut store, &ann, 9, None), word(Status::Usable, ""));

        let choice = store.choose("Ann@example.com", MID_2021).unwrap();
        let chosen: Vec<_> = choice
            .candidates
            .iter()
            .map(|candidate| candidate.certificate.sha256)
            .collect();
        assert_eq!(chosen.len(), 3);
        assert!(chosen.contains(&ann.sha256) && chosen.contains(&renewed.sha256));
        let why = |sha256: [u8; 32]| {
            choice
                .refused
                .iter()
                .find(|refused| refused.sha256 == sha256)
                .unwrap()
                .reasons
                .join(" ")
        };
        assert_eq!(why(rival.sha256), "quarantined conflicting-issuer");
        assert_eq!(why(later.sha256), "cert-not-yet-valid");
        assert_eq!(
            store
                .choose("ann@example.com", 1_700_000_000)
                .unwrap()
                .candidates
                .len(),
            1
        );
    }

    #[test]
    fn self_signed_authorities_bystanders_and_given() {
        let pki = Pki::new();
        let ca = pki.issue(&Spec::root("ca"));
        let own = pki.issue(
            &Spec::root("own")
                .extension("basicConstraints", "")
                .address("own@example.com"),
        );
        let leaf = pki.issue(&Spec::leaf("leaf", "ca"));
        let sign = pki.issue(&Spec::leaf("sign", "ca").extension("keyUsage", "digitalSignature"));
        let (_dir, mut store) = store();
        assert_eq!(
            insert(&mut store, &own, 1, None),
            word(Status::Quarantined, "self-signed")
        );
        assert_eq!(
            insert(&mut store, &ca, 1, Some("not-a-signer")),
            word(Status::Ca, "")
        );
        store
            .insert(&[(Arc::clone(&leaf), Vec::new(), false)])
            .unwrap();
        assert_eq!(
            standing(&store, &leaf),
            word(Status::Quarantined, "not-a-signer")
        );
        let given = store
            .insert_given(&[Arc::clone(&leaf), Arc::clone(&own), Arc::clone(&ca), sign])
            .unwrap();
        assert_eq!(given, Inserted { new: 1, updated: 2 });
        assert_eq!(standing(&store, &leaf), word(Status::Given, ""));
        assert_eq!(standing(&store, &ca), word(Status::Ca, ""));
        assert_eq!(
            store
                .for_address("own@example.com", MID_2021)
                .unwrap()
                .len(),
            1
        );
        let choice = store.choose("sign@example.com", MID_2021).unwrap();
        assert_eq!(choice.refused[0].reasons, ["cert-usage"]);
        assert_eq!(store.insert_given(&[leaf]).unwrap(), Inserted::default());
    }

    #[test]
    fn a_rerun_counts_nothing_twice_and_better_judgement_is_taken_over() {
        let pki = Pki::new();
        pki.issue(&Spec::root("ca"));
        let leaf = pki.issue(&Spec::leaf("leaf", "ca"));
        let (dir, mut store) = store();
        let batch = |usable: Option<&'static str>| {
            vec![(
                Arc::clone(&leaf),
                (1..=3).map(|m| seen(&leaf, m, usable)).collect::<Vec<_>>(),
                false,
            )]
        };
        assert_eq!(
            store.insert(&batch(Some("chain-incomplete"))).unwrap(),
            Inserted { new: 1, updated: 0 }
        );
        let bytes = std::fs::read(dir.path().join("certs.db")).unwrap();
        assert_eq!(
            store.insert(&batch(Some("chain-incomplete"))).unwrap(),
            Inserted::default()
        );
        assert!(
            bytes == std::fs::read(dir.path().join("certs.db")).unwrap(),
            "a rerun writes nothing"
        );
        assert_eq!(
            store.insert(&batch(None)).unwrap(),
            Inserted { new: 0, updated: 1 }
        );
        assert_eq!(
            store.insert(&batch(Some("chain-incomplete"))).unwrap(),
            Inserted::default()
        );
        let all = store.certificates().unwrap();
        assert_eq!(
            (all[0].count, all[0].first_seen, all[0].last_seen),
            (3, Some(1), Some(3))
        );
        assert_eq!(all[0].status, Status::Usable);
        assert_eq!(all[0].addresses, ["leaf@example.com"]);
        assert_eq!(all[0].der, &*leaf.der);
        assert_eq!(
            store.sightings(&leaf.sha256, 2).unwrap()[0].message_id,
            "3@x"
        );
        let prefix = crate::text::hex(&leaf.sha256[..4]).to_uppercase();
        let by = |sha256_prefix: String| Filter {
            sha256_prefix: Some(sha256_prefix),
            ..Filter::default()
        };
        assert_eq!(store.list(&by(prefix)).unwrap().len(), 1);
        assert!(store.list(&by("zz' OR 1".to_owned())).unwrap().is_empty());
        let check: String = store
            .connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }

    #[test]
    fn files_are_private_held_by_one_and_recognised() {
        let (dir, store) = store();
        let path = dir.path().join("certs.db");
        assert!(matches!(Store::open(&path, true), Err(Error::Busy(_))));
        drop(store);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(Store::open(&path, false).is_ok());
        let usage = |path: &Path| match Store::open(path, false) {
            Err(Error::Usage(text)) => text,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("opened"),
        };
        assert!(usage(&dir.path().join("absent")).contains("no such"));
        assert!(!dir.path().join("absent").exists());
        let foreign = dir.path().join("foreign");
        let connection = Connection::open(&foreign).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        drop(connection);
        assert!(usage(&foreign).contains("another program"));
        Connection::open(&path)
            .unwrap()
            .execute_batch("PRAGMA user_version = 9")
            .unwrap();
        assert!(usage(&path).contains("version 9"));
        let mail = dir.path().join("mail");
        std::fs::copy("Cargo.toml", &mail).unwrap();
        assert!(usage(&mail).contains("not a certificate store"));
    }

    #[test]
    fn an_interrupted_batch_leaves_nothing_behind() {
        let pki = Pki::new();
        let ca = pki.issue(&Spec::root("ca"));
        let (_dir, mut store) = store();
        let failed: Result<()> = store.transact(|transaction| {
            transaction.execute("INSERT INTO addresses VALUES (x'00', 'a@b', 0)", [])?;
            Ok(())
        });
        assert!(
            matches!(failed, Err(Error::Store { .. })),
            "foreign keys are on"
        );
        assert!(store.certificates().unwrap().is_empty());
        assert_eq!(insert(&mut store, &ca, 1, None).0, Status::Quarantined);
    }

    #[test]
    fn openssl_reads_the_export_and_a_hostile_subject_stays_a_comment() {
        let pki = Pki::new();
        pki.issue(&Spec::root("ca"));
        let leaf = Spec::leaf("leaf", "ca").subject("/CN=x\n-----BEGIN CERTIFICATE-----\nAAAA");
        let leaf = pki.issue(&leaf);
        let (_dir, mut store) = store();
        insert(&mut store, &leaf, 1, None);
        let text = export::pem::pem(&store).unwrap();
        assert_eq!(text.matches("-----BEGIN").count(), 1);
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 2);
        let path = pki.path("export.pem");
        fsio::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
        let output = pki.openssl(&["x509", "-in", "export.pem", "-outform", "DER"]);
        assert_eq!(output.stdout, &*leaf.der);
        let quarantined = Filter {
            status: Some(Status::Quarantined),
            ..Filter::default()
        };
        assert_eq!(export::pem::pem_of(&store, &quarantined).unwrap(), "");
    }

    #[test]
    fn a_store_of_version_1_is_read_as_it_is_and_migrated_when_it_is_filled() {
        let pki = Pki::new();
        pki.issue(&Spec::root("ca"));
        let ann = pki.issue(&Spec::leaf("ann", "ca"));
        let (dir, mut store) = store();
        insert(&mut store, &ann, 1, None);
        store
            .connection
            .execute_batch(
                "ALTER TABLE certificates DROP COLUMN capabilities;
                 ALTER TABLE certificates DROP COLUMN capabilities_at; PRAGMA user_version = 1;",
            )
            .unwrap();
        drop(store);
        let path = dir.path().join("certs.db");
        let before = crate::fsio::read(&path).unwrap();
        let mut store = Store::open(&path, false).unwrap();
        assert_eq!(
            store
                .for_address("ann@example.com", MID_2021)
                .unwrap()
                .len(),
            1
        );
        assert_eq!(crate::fsio::read(&path).unwrap(), before);
        assert_eq!(insert(&mut store, &ann, 2, None), word(Status::Usable, ""));
        drop(store);
        let store = Store::open(&path, false).unwrap();
        assert_eq!(
            (store.version, store.certificates().unwrap()[0].count),
            (2, 2)
        );
    }

    #[test]
    fn the_latest_proven_signature_says_what_its_owner_reads() {
        let pki = Pki::new();
        pki.issue(&Spec::root("ca"));
        let ann = pki.issue(&Spec::leaf("ann", "ca"));
        let (_dir, mut store) = store();
        let mut say = |message: u8, reason: Option<&'static str>, at: i64, body: u8| {
            let mut sighting = seen(&ann, message, reason);
            sighting.capabilities = Some(SaidCapabilities {
                der: vec![0x30, 2, 5, body],
                at,
            });
            let batch = [(Arc::clone(&ann), vec![sighting], false)];
            store.insert(&batch).unwrap();
            store.certificates().unwrap()[0].capabilities.clone()
        };
        assert_eq!(say(1, Some("digest-mismatch"), 50, 0), None);
        assert_eq!(say(2, None, 10, 1), Some(vec![0x30, 2, 5, 1]));
        assert_eq!(say(3, None, 30, 3), Some(vec![0x30, 2, 5, 3]));
        assert_eq!(say(4, None, 20, 2), Some(vec![0x30, 2, 5, 3]));
        assert_eq!(
            say(5, Some("address-mismatch"), 40, 4),
            Some(vec![0x30, 2, 5, 3])
        );
    }
}
