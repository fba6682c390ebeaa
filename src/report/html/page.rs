//! The page.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::rows::{CertificateRow, MissingKeyRow, SignatureRow};
use super::super::summary::plural;
use super::super::totals::Totals;
use super::chart::{Chart, number};
use super::gather::{
    BOTH, ENCRYPTED, Ending, Gathered, Graded, LISTED, OTHER, PLAIN, SIGNED, SOON_DAYS,
};
use super::{Table, Told, Value};
use crate::crypto::digest::sha256;
use crate::ops::outcome::{ContentIntegrity, Strength};
use crate::text::{rfc3339, terminal_safe};

const STYLE: &str = include_str!("style.css");

/// Characters of a value; the other reports hold it whole.
const SHOWN: usize = 120;
/// The same for what the run was told.
const TOLD_SHOWN: usize = 600;
/// Rows of a table of what it was told.
const TOLD_ROWS: usize = 200;

/// What the page is made of.
pub(in super::super) struct Facts<'a> {
    pub(in super::super) told: &'a Told,
    pub(in super::super) totals: &'a Totals,
    pub(in super::super) gathered: &'a Gathered,
    /// All rows of missing-keys.csv.
    pub(in super::super) missing: &'a [MissingKeyRow],
    /// Whether verdicts were given.
    pub(in super::super) judges: bool,
    /// The extension of the reports beside it, `csv` or `jsonl`.
    pub(in super::super) extension: &'a str,
}

/// The page, whole.
pub(in super::super) fn render(facts: &Facts<'_>) -> String {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        base64_simd::STANDARD.encode_to_string(sha256(STYLE.as_bytes()))
    );
    let told = facts.told;
    let (headline, _) = headline(facts.totals);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "p7mill " (show(&told.command)) ": " (headline) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kicker { "p7mill " (show(&told.command)) " · S/MIME in a mail archive · as of " (day(&rfc3339(told.now))) }
                    (accounted(facts))
                    (numbers(facts))
                    nav aria-label="On this page" {
                        ul {
                            @for (id, name) in [
                                ("years", "By year"), ("verdicts", "Verdicts"), ("algorithms", "Algorithms"),
                                ("signers", "Signers"), ("unreadable", "Unreadable mail"), ("limits", "Failures and limits"),
                                ("told", "What the run was told"),
                            ] {
                                li { a href={ "#" (id) } { (name) } }
                            }
                        }
                    }
                }
                main {
                    (years(facts))
                    (verdicts(facts))
                    (algorithms(facts))
                    (signers(facts))
                    (unreadable(facts))
                    (limits(facts))
                    (what_it_was_told(facts))
                }
                footer {
                    p {
                        "Made by p7mill " (show(&told.version)) " from the same rows as the " (facts.extension)
                        " files beside it, which hold every message. Words and reason codes are explained in p7mill’s "
                        "documentation. Who ran it, when and where is in run.json."
                    }
                }
            }
        }
    }
    .into_string()
}

/// The first sentence, and whether it is good news.
fn headline(totals: &Totals) -> (String, &'static str) {
    let messages = totals.messages;
    match totals.written {
        _ if totals.lost() > 0 => (
            format!(
                "{} of {} messages are missing",
                number(totals.lost()),
                number(messages)
            ),
            "verdict lost",
        ),
        _ if totals.failed_files > 0 => {
            let unread = totals.unread().unwrap_or_default();
            let met = counted(messages, "message");
            (format!("{met} accounted for; {unread}"), "verdict open")
        }
        _ if messages == 0 => ("No mail was found".into(), "verdict open"),
        Some(_) if totals.withheld > 0 => (
            format!(
                "{} accounted for; {} not written",
                counted(messages, "message"),
                number(totals.withheld)
            ),
            "verdict open",
        ),
        Some(_) if messages == 1 => ("The one message is accounted for".into(), "verdict"),
        Some(_) => (
            format!("All {} messages are accounted for", number(messages)),
            "verdict",
        ),
        None => (
            format!("{} read, nothing left out", counted(messages, "message")),
            "verdict",
        ),
    }
}

fn accounted(facts: &Facts<'_>) -> Markup {
    let totals = facts.totals;
    let (headline, class) = headline(totals);
    html! {
        div class=(class) {
            h1 { (headline) }
            p {
                (count("messages", totals.messages)) " found in " (count("mailboxes", totals.mailboxes))
                @if totals.mailboxes == 1 { " mailbox" } @else { " mailboxes" }
                @if let Some(written) = totals.written { ", " (count("written", written)) " written" (beside(totals)) }
                @else { "; nothing was to be written" }
                "."
            }
            @if totals.failed_files > 0 {
                p {
                    "How many messages the files that were not read, or not to their end, hold, nobody knows. sources." (facts.extension) " names every file:"
                }
                ul {
                    @for file in totals.failed_files_named.iter().take(LISTED) {
                        li.w { (value(&file.path)) ": " (value(&file.status)) }
                    }
                    @if let Some(more) = more(totals.failed_files, totals.failed_files_named.len().min(LISTED)) {
                        li { (more) " more" }
                    }
                }
            }
        }
    }
}

/// What of the messages is not written, and what is written beside them.
fn beside(totals: &Totals) -> Markup {
    html! {
        @if totals.withheld > 0 {
            ", " (count("withheld", totals.withheld)) " left out, since they would have been readable"
        }
        @if totals.copies > 0 {
            ", " (count("copies", totals.copies))
            @if totals.copies == 1 { " copy for a blind recipient" } @else { " copies for blind recipients" }
        }
    }
}

fn numbers(facts: &Facts<'_>) -> Markup {
    let totals = facts.totals;
    let of = |name: &str| -> u64 {
        facts
            .gathered
            .forms
            .get(name)
            .map_or(0, |by_year| by_year.values().sum())
    };
    let changed: u64 = [
        "decrypted",
        "rewrapped",
        "reencrypted",
        "encrypted",
        "signed",
    ]
    .iter()
    .filter_map(|outcome| totals.outcomes.get(*outcome))
    .sum();
    html! {
        dl.numbers {
            (number_of("messages found", &html! { (number(totals.messages)) }))
            (number_of("signed, as far as seen", &html! { (number(of(SIGNED) + of(BOTH))) }))
            (number_of("encrypted", &html! { (number(of(ENCRYPTED) + of(BOTH))) }))
            @if totals.written.is_some() { (number_of("changed", &html! { (number(changed)) })) }
            @if facts.judges {
                @let valid = totals.verdicts.get("valid").copied().unwrap_or(0);
                @let judged: u64 = totals.verdicts.values().sum();
                (number_of("signed messages valid", &html! { (number(valid)) small { " of " (number(judged)) } }))
            }
            @if facts.told.looks_for_keys() {
                (number_of("encrypted, no key opens", &html! { (number(totals.closed())) }))
            }
            (number_of("failures", &count("failures", totals.failed())))
        }
    }
}

fn number_of(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn years(facts: &Facts<'_>) -> Markup {
    let forms = &facts.gathered.forms;
    let chart = Chart::of(
        "Signed and encrypted messages by year",
        forms,
        &[(SIGNED, 0), (BOTH, 2), (ENCRYPTED, 1)],
    );
    let rows = Chart::of(
        "Messages by year",
        forms,
        &[
            (SIGNED, 0),
            (BOTH, 2),
            (ENCRYPTED, 1),
            (OTHER, 4),
            (PLAIN, 6),
        ],
    );
    html! {
        section #years {
            h2 { "Signed and encrypted mail by year" }
            p.note {
                "By the messages’ Date fields, which their senders wrote. What is inside an encrypted message that stayed closed "
                "is unseen: it counts as encrypted, whether it is signed inside or not. Other is PGP, bare certificates, compressed and the like."
            }
            (figure(&chart))
            (table_of(&rows))
        }
    }
}

fn verdicts(facts: &Facts<'_>) -> Markup {
    let totals = facts.totals;
    let gathered = facts.gathered;
    html! {
        section #verdicts {
            h2 { "Verdicts, worst first" }
            @if !facts.judges {
                p { "None were given: " code { (show(&facts.told.command)) } " judges nothing. " code { "verify" } " does." }
            } @else if totals.verdicts.is_empty() && totals.signatures.is_empty() {
                p { "No signature was met." }
            } @else {
                p.note {
                    "valid: intact, the certificate’s path trusted at the time, the address that of From, the whole message covered. "
                    "indeterminate: nothing is broken, but one of these does not hold or cannot be judged. invalid: broken or malformed."
                }
                div.keep {
                    table {
                        caption { "How many" }
                        thead { tr { th scope="col" { "Verdict" } th.n scope="col" { "Messages" } th.n scope="col" { "Signatures" } } }
                        tbody {
                            @for verdict in ["invalid", "indeterminate", "valid"] {
                                tr {
                                    th scope="row" { (tag(verdict)) }
                                    td.n { (count(&format!("verdicts.{verdict}"), of(&totals.verdicts, verdict))) }
                                    td.n { (count(&format!("signatures.{verdict}"), of(&totals.signatures, verdict))) }
                                }
                            }
                        }
                    }
                }
                @let chart = Chart::of("Verdicts of signed messages by year", &gathered.verdicts, &[("valid", 3), ("indeterminate", 1), ("invalid", 4)]);
                (figure(&chart))
                (reasons(gathered))
                @for verdict in ["invalid", "indeterminate"] {
                    @if let Some(rows) = gathered.not_valid.get(verdict) {
                        (not_valid(verdict, rows, of(&totals.signatures, verdict), facts.extension))
                    }
                }
            }
        }
    }
}

fn reasons(gathered: &Gathered) -> Markup {
    if gathered.reasons.is_empty() {
        return Markup::default();
    }
    let mut rows: Vec<_> = gathered.reasons.iter().collect();
    let rank = |verdict: &str| u8::from(verdict != "invalid");
    rows.sort_by(|((a, x), n), ((b, y), m)| rank(a).cmp(&rank(b)).then(m.cmp(n)).then(x.cmp(y)));
    html! {
        table {
            caption { "Why signatures are not valid (one can have several reasons)" }
            thead { tr { th scope="col" { "Verdict" } th scope="col" { "Reason" } th.n scope="col" { "Signatures" } } }
            tbody {
                @for ((verdict, reason), signatures) in rows.iter().take(2 * LISTED) {
                    tr { td { (tag(verdict)) } td { code { (show(reason)) } } td.n { (number(signatures)) } }
                }
            }
        }
        @if let Some(more) = more(rows.len() as u64, rows.len().min(2 * LISTED)) { p.note { (more) " more reasons." } }
    }
}

fn not_valid(verdict: &str, rows: &[SignatureRow], all: u64, extension: &str) -> Markup {
    html! {
        div.wide {
            table {
                caption { "Signatures that are " (verdict) @if all > rows.len() as u64 { ", the first " (rows.len()) } }
                thead {
                    tr {
                        th scope="col" { "Mailbox" } th.n scope="col" { "No." } th scope="col" { "Signer" }
                        th scope="col" { "Judged at" } th scope="col" { "Reasons" }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            td.w { (value(&row.mailbox)) @if !row.part.is_empty() { ", part " (show(&row.part)) } }
                            td.n { (row.ordinal) }
                            td.w { @if row.signer.is_empty() { "unknown" } @else { (value(&row.signer)) } }
                            td.t { (day(&row.verdict_time)) }
                            td.w { code { (show(&row.reasons)) } }
                        }
                    }
                }
            }
        }
        @if let Some(more) = more(all, rows.len()) {
            p.note { (more) " more in signatures." (extension) "." }
        }
    }
}

fn algorithms(facts: &Facts<'_>) -> Markup {
    let gathered = facts.gathered;
    let digests = Chart::most("Signatures by digest and year", &gathered.digests);
    let ciphers = Chart::most(
        "Encrypted messages by content cipher and year",
        &gathered.ciphers,
    );
    html! {
        section #algorithms {
            h2 { "Algorithms by year, weakest first" }
            @if digests.is_empty() && ciphers.is_empty() && gathered.strengths.is_empty() {
                p { "No S/MIME algorithm was met." }
            }
            @if !gathered.strengths.is_empty() { (strengths(gathered)) }
            @if !digests.is_empty() { (figure(&digests)) (table_of(&digests)) }
            @if !gathered.graded.is_empty() { (cipher_table(&gathered.graded)) }
            @if !ciphers.is_empty() { (figure(&ciphers)) (table_of(&ciphers)) }
        }
    }
}

fn strengths(gathered: &Gathered) -> Markup {
    html! {
        table {
            caption { "Signatures by strength at the time they are judged at" }
            thead { tr { th scope="col" { "Strength" } th scope="col" { "Digest, algorithm, key" } th.n scope="col" { "Signatures" } } }
            tbody {
                @for strength in ["broken", "weak", "strong"] {
                    @if let Some(names) = gathered.strengths.get(strength) {
                        @let ranked = ranked(names);
                        @for (name, signatures) in ranked.iter().take(LISTED) {
                            tr {
                                td { (tag(strength)) }
                                td.w { code { (show(name)) } }
                                td.n { (number(signatures)) }
                            }
                        }
                        @if let Some(more) = more(ranked.len() as u64, ranked.len().min(LISTED)) {
                            tr { td { (tag(strength)) } td { (more) " more kinds" } td.n { } }
                        }
                    }
                }
            }
        }
    }
}

fn cipher_table(graded: &BTreeMap<Graded, u64>) -> Markup {
    html! {
        table {
            caption { "Content ciphers by strength" }
            thead { tr { th scope="col" { "Strength" } th scope="col" { "Cipher" } th scope="col" { "Against alteration" } th.n scope="col" { "Messages" } } }
            tbody {
                @for (kind, messages) in graded.iter().take(LISTED) {
                    @let guard = match kind.integrity {
                        Some(ContentIntegrity::Aead) => "protected by the cipher",
                        Some(ContentIntegrity::Signed) => "protected by a signature inside",
                        Some(ContentIntegrity::None) => "not protected",
                        None => "not known",
                    };
                    @let grade = kind.strength.0.map_or("unknown", Strength::as_str);
                    tr { td { (tag(grade)) } td.w { code { (show(&kind.cipher)) } } td { (guard) } td.n { (number(*messages)) } }
                }
            }
        }
        @if let Some(more) = more(graded.len() as u64, graded.len().min(LISTED)) { p.note { (more) " more kinds." } }
    }
}

fn signers(facts: &Facts<'_>) -> Markup {
    let gathered = facts.gathered;
    html! {
        section #signers {
            h2 { "Signers: expired and expiring" }
            @if gathered.signing_certificates == 0 {
                p { "No signature that was looked at names a certificate that is known." }
            } @else {
                p {
                    "The signatures in this archive name " (counted(gathered.signing_certificates, "known certificate")) ". "
                    (number(gathered.expired.count)) @if gathered.expired.count == 1 { " has" } @else { " have" }
                    " expired by " (day(&rfc3339(facts.told.now))) ", "
                    (number(gathered.expiring.count)) @if gathered.expiring.count == 1 { " ends" } @else { " end" }
                    " within " (SOON_DAYS) " days after. A signature made before its certificate expired is not worse for that."
                }
            }
            (ending("Ending soon, the first to end first", &gathered.expiring, facts.extension))
            (ending("Expired, the last seen first", &gathered.expired, facts.extension))
        }
    }
}

fn ending(caption: &str, ending: &Ending, extension: &str) -> Markup {
    if ending.listed.is_empty() {
        return Markup::default();
    }
    html! {
        div.wide {
            table {
                caption { (caption) }
                thead {
                    tr {
                        th scope="col" { "Whose" } th scope="col" { "Issuer" } th scope="col" { "Valid until" }
                        th scope="col" { "Last seen" } th.n scope="col" { "Messages" } th scope="col" { "SHA-256" }
                    }
                }
                tbody {
                    @for row in &ending.listed {
                        tr {
                            td.w { (value(whose(row))) }
                            td.w { (value(&row.issuer)) }
                            td.t { (day(&row.not_after)) }
                            td.t { (day(&row.last_seen)) }
                            td.n { (number(row.sightings)) }
                            td.t { code { (first_digits(&row.sha256)) } }
                        }
                    }
                }
            }
        }
        @if let Some(more) = more(ending.count, ending.listed.len()) {
            p.note { (more) " more in certificates." (extension) "." }
        }
    }
}

fn whose(row: &CertificateRow) -> &str {
    if row.addresses.is_empty() {
        &row.subject
    } else {
        &row.addresses
    }
}

fn unreadable(facts: &Facts<'_>) -> Markup {
    let totals = facts.totals;
    let rows = facts.missing;
    let by_owner = |owner: &str| rows.iter().filter(|row| row.owner == owner).count();
    let asked = facts.told.has("--our-domains");
    html! {
        section #unreadable {
            h2 { "Unreadable mail, by missing key" }
            @if !facts.told.looks_for_keys() {
                p {
                    code { (show(&facts.told.command)) } " opens nothing that is encrypted, and does not ask whose keys would. "
                    code { "scan" } " does."
                }
            } @else {
                (beyond_key_files(totals))
            }
            @if !facts.told.looks_for_keys() {
            } @else if rows.is_empty() {
                p { "No encrypted message waits for a key." }
            } @else {
                p {
                    strong { (counted(totals.unopened, "encrypted message")) }
                    @if totals.unopened == 1 { " waits" } @else { " wait" }
                    " for a key that is not at hand. "
                    (counted(rows.len() as u64, "key file")) " would open "
                    @if rows.len() == 1 && totals.unopened == 1 { "it" } @else { "them" }
                    "; the table is the shortest list, the most useful first. It takes at least these: what is encrypted once more inside "
                    "is not seen yet."
                }
                @if asked {
                    p {
                        "Whose they are: " strong { (counted(by_owner("ours") as u64, "key")) } " of the domains that were named as ours, to be "
                        "looked for in the house; " (by_owner("other")) " of others; " (by_owner("")) " of nobody knows whom."
                    }
                }
                div.wide {
                    table {
                        caption { "Missing and locked keys" }
                        thead {
                            tr {
                                th.n scope="col" { "Opens" } th.n scope="col" { "Together" } th scope="col" { "Key" }
                                th scope="col" { "Whose" } th scope="col" { "As messages name it" } th scope="col" { "Mail from – to" }
                            }
                        }
                        tbody {
                            @for row in rows.iter().take(LISTED) { (missing_row(row)) }
                        }
                    }
                }
                @if let Some(more) = more(rows.len() as u64, rows.len().min(LISTED)) {
                    p.note { (more) " more in missing-keys." (facts.extension) "." }
                }
            }
            @if !totals.locked_files.is_empty() {
                table {
                    caption { "Key files that stayed locked" }
                    thead { tr { th scope="col" { "File" } th.n scope="col" { "Messages known to need it" } } }
                    tbody {
                        @for (file, messages) in totals.locked_files.iter().take(LISTED) {
                            tr { td.w { (value(file)) } td.n { (number(messages)) } }
                        }
                    }
                }
                @if let Some(more) = more(totals.locked_files.len() as u64, totals.locked_files.len().min(LISTED)) {
                    p.note { (more) " more." }
                }
            }
        }
    }
}

/// What no row of missing-keys would open.
fn beyond_key_files(totals: &Totals) -> Markup {
    let (secret, beyond) = (totals.wait_for_secret, totals.beyond_key_files);
    html! {
        @if secret > 0 {
            p {
                strong { (counted(secret, "encrypted message")) }
                @if secret == 1 { " waits" } @else { " wait" }
                " for a passphrase or a shared key, which is in no key file."
            }
        }
        @if beyond > 0 {
            p {
                "No further key file would open " strong { (counted(beyond, "encrypted message")) } "."
            }
        }
    }
}

fn missing_row(row: &MissingKeyRow) -> Markup {
    let name = if row.serial.is_empty() {
        format!("key identifier {}", row.ski)
    } else {
        format!("serial {}, {}", row.serial, row.issuer)
    };
    html! {
        tr {
            td.n { (number(row.newly_opened)) }
            td.n { (show(&row.cumulative_percent)) " %" }
            td { (show(&row.key_status)) }
            td.w {
                @match row.address_source.as_str() {
                    "" => "unknown",
                    "guessed" => { "perhaps " (value(&row.address)) }
                    _ => (value(&row.address)),
                }
                @if row.owner == "ours" { " (ours)" }
            }
            td.w { (value(&name)) }
            td.t { (day(&row.first_date)) @if !row.first_date.is_empty() { " – " } (day(&row.last_date)) }
        }
    }
}

fn limits(facts: &Facts<'_>) -> Markup {
    let totals = facts.totals;
    let limits: u64 = totals
        .failures
        .values()
        .flatten()
        .filter(|(reason, _)| reason.starts_with("limit-"))
        .map(|(_, messages)| messages)
        .sum();
    html! {
        section #limits {
            h2 { "Failures and limits" }
            p {
                @if limits == 0 { "No message went beyond a limit. " }
                @else { strong { (counted(limits, "message")) } " went beyond a limit that no honest message needs. " }
                (became(facts))
            }
            table {
                caption { "What became of the messages" }
                thead { tr { th scope="col" { "Outcome" } th.n scope="col" { "Messages" } } }
                tbody {
                    @for (outcome, messages) in ranked(&totals.outcomes) {
                        tr { th scope="row" { (show(outcome)) } td.n { (count(&format!("outcomes.{outcome}"), messages)) } }
                    }
                }
            }
            @if !totals.failures.is_empty() {
                table {
                    caption { "Failures, attached messages included" }
                    thead { tr { th scope="col" { "Outcome" } th scope="col" { "Reason" } th.n scope="col" { "Messages" } } }
                    tbody {
                        @for (outcome, reasons) in &totals.failures {
                            @for (reason, messages) in ranked(reasons).into_iter().take(LISTED) {
                                tr {
                                    th scope="row" { (show(outcome)) }
                                    td { @if reason.is_empty() { "–" } @else { code { (show(reason)) } } }
                                    td.n { (number(messages)) }
                                }
                            }
                        }
                    }
                }
            }
            @if totals.accepted > 0 { p { (counted(totals.accepted, "failure")) " let pass by " code { "--accept" } "." } }
            @if totals.attached > 0 { p.note { (counted(totals.attached, "attached message")) " with S/MIME: judged in rows of their own." } }
        }
    }
}

/// What became of the messages that failed.
fn became(facts: &Facts<'_>) -> Markup {
    let totals = facts.totals;
    let (failed, left_out) = (totals.failed(), totals.withheld);
    html! {
        @if left_out > 0 {
            strong { (counted(left_out, "message")) } @if left_out == 1 { " was" } @else { " were" }
            " not written: only the source has " @if left_out == 1 { "it. " } @else { "them. " }
        } @else if failed > 0 && totals.written.is_some() {
            "What failed was written as it was. "
        } @else if failed > 0 && facts.told.has("--dry-run") && facts.told.command == "encrypt" {
            "What failed would not be written. "
        }
        @if failed > 0 { "failed." (facts.extension) " says what to do about each failure." }
        @else { "Nothing failed." }
    }
}

fn what_it_was_told(facts: &Facts<'_>) -> Markup {
    let told = facts.told;
    let given = told.has("--now");
    html! {
        section #told {
            h2 { "What the run was told" }
            dl.told {
                dt { "command" } dd { code { "p7mill " (show(&told.command)) } }
                dt { "version" } dd { (show(&told.version)) }
                dt { @if given { code { "--now" } } @else { "now" } }
                dd { (show(&rfc3339(told.now))) @if !given { " (the system clock)" } }
                @for (option, values) in told.options.iter().filter(|(option, _)| option != "--now") {
                    dt { code { (show(option)) } }
                    dd { (capped(&together(values), TOLD_SHOWN)) }
                }
            }
            @if facts.judges && !told.has("--trust") {
                p { "No trust anchor was named (" code { "--trust" } "): no path is trusted, and no signature can be valid." }
            }
            @for table in &told.tables { (told_table(table)) }
        }
    }
}

fn told_table(told: &Table) -> Markup {
    html! {
        div.wide {
            table {
                caption { (told.caption) }
                thead { tr { @for column in told.columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in told.rows.iter().take(TOLD_ROWS) {
                        tr {
                            @for cell in row {
                                @match cell {
                                    Value::Day(None) => td.t { "–" },
                                    Value::Day(Some(time)) => td.t { (day(&rfc3339(*time))) },
                                    Value::Digest(digest) => td.w { code { (show(digest)) } },
                                    Value::Word(text) | Value::Path(text) | Value::KeyFile(text) | Value::Authority(text) | Value::Domain(text)
                                        | Value::Person(text) => td.w { (value(text)) },
                                }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(more) = more(told.rows.len() as u64, told.rows.len().min(TOLD_ROWS)) {
            p.note { (more) " more in run.json." }
        }
    }
}

/// The values of an option.
fn together(values: &[Value]) -> String {
    let word = |value: &Value| match value {
        Value::Word(text)
        | Value::Path(text)
        | Value::KeyFile(text)
        | Value::Authority(text)
        | Value::Domain(text)
        | Value::Person(text)
        | Value::Digest(text) => text.clone(),
        Value::Day(time) => time.map(rfc3339).unwrap_or_default(),
    };
    values.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A chart with its legend; nothing where there is nothing to show.
fn figure(chart: &Chart) -> Markup {
    if chart.is_empty() {
        return Markup::default();
    }
    let name: String = chart
        .title
        .chars()
        .filter(char::is_ascii_alphabetic)
        .collect();
    let (title_id, text_id) = (format!("t-{name}"), format!("d-{name}"));
    html! {
        figure {
            figcaption { (chart.title) }
            ul.key { @for (name, color, _) in &chart.series { li class={ "k" (color) } { (show(name)) } } }
            div.wide {
                svg viewBox="0 0 720 270" role="img" aria-labelledby={ (title_id) " " (text_id) } {
                    title id=(title_id) { (chart.title) }
                    desc id=(text_id) { (described(chart)) }
                    (PreEscaped(chart.svg()))
                }
            }
        }
    }
}

/// What the chart shows, in words.
fn described(chart: &Chart) -> String {
    let sums = chart
        .series
        .iter()
        .map(|(name, _, values)| format!("{} {}", number(values.iter().sum::<u64>()), show(name)));
    let dated: Vec<i32> = chart.years.iter().flatten().copied().collect();
    let span = match (dated.first(), dated.last()) {
        (Some(first), Some(last)) => format!("{first} to {last}: "),
        _ => String::new(),
    };
    format!(
        "Stacked bars, {span}{}.",
        sums.collect::<Vec<_>>().join(", ")
    )
}

/// The same numbers as a table: a row a year.
fn table_of(chart: &Chart) -> Markup {
    if chart.is_empty() {
        return Markup::default();
    }
    html! {
        div.wide {
            table.years {
                caption { (chart.title) ", in numbers" }
                thead {
                    tr { th scope="col" { "Year" } @for (name, _, _) in &chart.series { th.n scope="col" { (show(name)) } } }
                }
                tbody {
                    @for (at, year) in chart.years.iter().enumerate() {
                        @if chart.series.iter().any(|(_, _, values)| values.get(at).is_some_and(|value| *value > 0)) {
                            tr {
                                th scope="row" { @if let Some(year) = year { (year) } @else { "no date" } }
                                @for (_, _, values) in &chart.series { (cell_of(values.get(at).copied().unwrap_or(0))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A number of which a nought is not to strike the eye.
fn cell_of(value: u64) -> Markup {
    html! { @if value == 0 { td.n.z { "0" } } @else { td.n { (number(value)) } } }
}

fn of(counts: &BTreeMap<String, u64>, word: &str) -> u64 {
    counts.get(word).copied().unwrap_or(0)
}

/// The most frequent first.
fn ranked(counts: &BTreeMap<String, u64>) -> Vec<(&String, u64)> {
    let mut ranked: Vec<_> = counts
        .iter()
        .map(|(name, number)| (name, *number))
        .collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ranked
}

/// A number that summary.json holds too, under this name.
fn count(name: &str, value: u64) -> Markup {
    html! { data value=(value) data-of=(name) { (number(value)) } }
}

fn counted(value: u64, noun: &str) -> String {
    let words = plural(value, noun);
    words.replacen(&value.to_string(), &number(value), 1)
}

/// How many are not listed.
fn more(all: u64, listed: usize) -> Option<String> {
    let more = all.saturating_sub(listed as u64);
    (more > 0).then(|| number(more))
}

/// A word in the colour of what it says; the word alone says it as well.
fn tag(word: &str) -> Markup {
    let class = match word {
        "valid" | "strong" => "tag good",
        "indeterminate" | "weak" | "unknown" => "tag fair",
        "invalid" | "broken" => "tag bad",
        _ => "tag",
    };
    html! { span class=(class) { (show(word)) } }
}

/// Anybody's text, apart from the text around it in its direction of writing.
fn value(text: &str) -> Markup {
    html! { bdi { (show(text)) } }
}

/// Text of any length and content as it can be shown; the caller escapes it.
fn show(text: &str) -> String {
    capped(text, SHOWN)
}

fn capped(text: &str, most: usize) -> String {
    let mut head: String = text.chars().take(most).collect();
    if head.len() < text.len() {
        head.push('…');
    }
    terminal_safe(&head)
}

/// The day of a time.
fn day(time: &str) -> String {
    show(time.get(..10).unwrap_or(time))
}

fn first_digits(sha256: &str) -> String {
    let head: String = sha256.chars().take(16).collect();
    show(&head) + "…"
}
