//! NIST's Public Key Interoperability Test Suite: 224 signed messages whose paths hold, or fail in
//! one way each. `.ci/pkits` fetches it; where it is absent, that is said.
//!
//! Few of the suite's certificates hold the address that its messages come from, so that most
//! verdicts are at best `indeterminate`, for that one reason; a message counts as *held* where it is
//! `valid`, or would be but for that.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::table::{Row, rows};
use crate::support::{Sandbox, repository};

/// What does not say so in its name: paths that demand a policy and have none, and a missing list.
const INVALID: [&str; 7] = [
    "SignedDifferentPoliciesTest4",
    "SignedDifferentPoliciesTest5",
    "SignedDifferentPoliciesTest7",
    "SignedDifferentPoliciesTest8",
    "SignedDifferentPoliciesTest9",
    "SignedDifferentPoliciesTest12",
    "SignedMissingCRLTest1",
];

/// Valid ones that do not come out so, and why.
const EXPLAINED: [(&str, &str); 3] = [
    (
        "SignedValidDSASignaturesTest4",
        "SHA-1 and DSA of 1024 bits are broken at the clock",
    ),
    (
        "SignedValidDSAParameterInheritanceTest5",
        "a DSA key without parameters of its own: OpenSSL does not inherit them",
    ),
    (
        "SignedValidcRLIssuerTest30",
        "only the list itself vouches for the certificate of its signer",
    ),
];

fn suite() -> Option<PathBuf> {
    let folder = std::env::var_os("P7MILL_PKITS").map_or_else(
        || repository().join("target/pkits/PKITS_data"),
        PathBuf::from,
    );
    if folder.join("smime").is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("P7MILL_REQUIRE_PEERS").is_none_or(|value| value != "1"),
        "PKITS is absent (.ci/pkits fetches it), and P7MILL_REQUIRE_PEERS=1"
    );
    println!("NOT SHOWN: PKITS is absent; .ci/pkits fetches it");
    None
}

fn name(row: &Row) -> String {
    let mailbox = row.at("mailbox");
    let file = mailbox.rsplit('/').next().unwrap_or_default();
    file.trim_end_matches(".eml").to_owned()
}

fn should_hold(name: &str) -> bool {
    !name.starts_with("SignedInvalid") && !INVALID.contains(&name)
}

fn holds(row: &Row) -> bool {
    row.at("integrity") == "intact"
        && row.at("chain") == "trusted"
        && row.at("revocation") == "good"
        && row.at("coverage") == "full"
        && row.at("strength") == "strong"
        && match row.at("verdict") {
            "valid" => row.at("reasons").is_empty(),
            verdict => verdict == "indeterminate" && row.at("reasons") == "address-mismatch",
        }
}

#[test]
fn no_path_that_must_fail_holds_and_those_that_must_hold_do() {
    let Some(suite) = suite() else { return };
    let sandbox = Sandbox::new();
    let at = |name: &str| suite.join(name).display().to_string();
    let verify = |extra: &[&str]| {
        let mut words: Vec<String> = ["verify".to_owned(), at("smime")].into();
        for (option, path) in [
            ("--trust", "certs/TrustAnchorRootCertificate.crt"),
            ("--intermediates", "certs"),
            ("--crl", "crls"),
        ] {
            words.extend([option.to_owned(), at(path)]);
        }
        let clock = ["--clock", "2020-06-01T00:00:00Z", "--report", "R"];
        words.extend(clock.iter().chain(extra).map(|word| (*word).to_owned()));
        sandbox.run(words).expect(4);
        rows(&sandbox.path().join("R/signatures.csv"))
    };
    let judged = verify(&["--require-revocation"]);
    assert_eq!(judged.len(), 224);
    let explained: BTreeSet<&str> = EXPLAINED.into_iter().map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    let mut held = 0;
    for row in &judged {
        let name = name(row);
        held += usize::from(holds(row));
        if should_hold(&name) == holds(row) || (should_hold(&name) && explained.contains(&*name)) {
            continue;
        }
        wrong.push(format!(
            "{name}: should {}hold: {} {} {} {}",
            if should_hold(&name) { "" } else { "not " },
            row.at("integrity"),
            row.at("chain"),
            row.at("revocation"),
            row.at("reasons"),
        ));
    }
    println!("PKITS: {held} of 224 hold");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(explained.len() <= 5);
    // What only a list speaks against shows that the lists are what keeps it from holding.
    let lenient = verify(&[]);
    let missing = lenient
        .iter()
        .find(|row| name(row) == "SignedMissingCRLTest1")
        .unwrap();
    assert_eq!(
        (missing.at("revocation"), missing.at("reasons")),
        ("unknown", "address-mismatch")
    );
}
