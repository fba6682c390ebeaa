//! How reports are cut and what they hide, resolved.

use std::path::PathBuf;

use p7mill::report::redact::Hidden;
use p7mill::report::shape::Shape;
use p7mill::{Error, Result};

use super::request::Request;

/// How reports are cut and what they hide, resolved.
#[derive(Default)]
pub(crate) struct Cut {
    pub(crate) shape: Shape,
    pub(crate) hidden: Hidden,
    pub(crate) redaction_key: Option<PathBuf>,
    pub(crate) our_domains: Vec<String>,
}

impl Cut {
    pub(crate) fn of(request: &Request<'_>) -> Result<Self> {
        let Some(told) = request.out.map(|out| &out.shape).or(request.shape) else {
            return Ok(Self::default());
        };
        let mut shape = Shape::split(told.split_rows);
        for choice in &told.columns {
            shape
                .choose(choice)
                .map_err(|why| Error::Usage(format!("--columns {choice}: {why}")))?;
        }
        let hidden =
            Hidden::named(&told.redact).map_err(|why| Error::Usage(format!("--redact {why}")))?;
        let reports = request.report.is_some() || request.out.is_some_and(|out| out.out.is_some());
        if !reports {
            let useless = [
                ("--columns", !told.columns.is_empty()),
                ("--split-rows", told.split_rows.is_some()),
                ("--redact", hidden.any()),
            ];
            if let Some((option, _)) = useless.iter().find(|(_, given)| *given) {
                return Err(Error::Usage(format!(
                    "{option} is about reports; add --report DIR"
                )));
            }
        }
        let domains = told.our_domains.iter().map(|domain| {
            let domain = domain.trim().trim_start_matches(['@', '.']).to_lowercase();
            if domain.is_empty() || domain.contains(['@', ' ', '*']) {
                Err(Error::Usage(format!(
                    "--our-domains {domain}: not a domain such as example.org, which stands for those below it too"
                )))
            } else {
                Ok(domain)
            }
        });
        Ok(Self {
            shape,
            hidden,
            redaction_key: told.redaction_key.clone(),
            our_domains: domains.collect::<Result<_>>()?,
        })
    }
}
