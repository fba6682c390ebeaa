//! Records made by hand, for tests.

use super::record::MessageRecord;
use crate::ops::outcome::{
    Action, AddressMatch, Coverage, Findings, Integrity, Judgement, KeyStatus, MessageFinding,
    RecipientFinding, RecipientKind, Role, SignatureFinding, Strength, TimeSource,
};

pub(crate) fn finding(action: Action) -> MessageFinding {
    MessageFinding {
        part: String::new(),
        message_id: "id@example.org".into(),
        date: Some(0),
        from: vec!["a@example.org".into()],
        sent_to: Vec::new(),
        subject: "subject".into(),
        form: "plain".into(),
        parts: 0,
        action,
        reason: None,
        verdict_time: None,
        time_source: None,
        judgement: Judgement::default(),
        unsigned_bytes: None,
        content_encryption: None,
        content_integrity: None,
        content_strength: None,
        opened_with: None,
        opened_for: Vec::new(),
        header_conflicts: Some(0),
        concerns: Vec::new(),
    }
}

pub(crate) fn message(mailbox: &str, ordinal: u64, action: Action) -> MessageRecord {
    MessageRecord {
        mailbox: mailbox.into(),
        ordinal,
        offset: 0,
        bytes: 1,
        sha256: "00".repeat(32),
        flags: String::new(),
        file: String::new(),
        trail: None,
        unquoted: false,
        arrived: None,
        findings: Findings {
            messages: vec![finding(action)],
            ..Findings::default()
        },
        out: None,
        copies: Vec::new(),
        withheld: false,
    }
}

pub(crate) fn recipient(serial: &str, key_status: KeyStatus) -> RecipientFinding {
    RecipientFinding {
        part: String::new(),
        layer: 1,
        message_id: String::new(),
        kind: RecipientKind::Ktri,
        issuer: "CN=ca".into(),
        serial: serial.into(),
        ski: String::new(),
        key_encryption: "rsa-pkcs1".into(),
        content_encryption: "aes-256-cbc".into(),
        key_status,
        cert_sha256: String::new(),
        address: String::new(),
        role: Role::Other,
        copy: 0,
    }
}

pub(crate) fn signature(cert_sha256: &str) -> SignatureFinding {
    SignatureFinding {
        part: String::new(),
        layer: 1,
        message_id: String::new(),
        signer: "a@example.org".into(),
        subject: "CN=a".into(),
        issuer: "CN=ca".into(),
        serial: "01".into(),
        cert_sha256: cert_sha256.into(),
        key: "rsa-2048".into(),
        digest: "sha256".into(),
        other_digest: String::new(),
        algorithm: "rsa-pkcs1".into(),
        signing_time: None,
        integrity: Integrity::Intact,
        malformed: false,
        address: AddressMatch::From,
        coverage: Coverage::Full,
        strength: Strength::Strong,
        verdict_time: 0,
        time_source: TimeSource::Received,
        time_is_claim: false,
        received: Some(0),
        time_is_pinned: false,
        timestamps: Vec::new(),
        reasons: Vec::new(),
        capabilities: String::new(),
    }
}
