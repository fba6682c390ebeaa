//! The same ciphertext for other recipients: new RecipientInfos replace the old ones around bytes
//! that are not touched. The caller has proven the content with the key it hands over.

use std::sync::Arc;

use crate::bulk::{Bulk, Chain};
use crate::cms::build;
use crate::cms::content::ContentInfo;
use crate::cms::outline::Outline;
use crate::crypto::Failed;

use super::open::Opened;
use super::seal::{Recipient, recipient_infos};

/// The object `original`, whose content `opened` has proven, for `recipients` alone; its encoding.
pub fn rewrap(
    original: &ContentInfo<'_>,
    opened: &Opened,
    recipients: &[Recipient],
) -> Result<Vec<u8>, Failed> {
    let infos = recipient_infos(&opened.cek, recipients)?;
    let pieces = build::with_recipients(original, &infos).ok_or(Failed)?;
    Ok(pieces.concat())
}

/// The same for an object too large to hold: `original` was read from `outline`.
pub fn rewrap_large(
    outline: &Outline,
    original: &ContentInfo<'_>,
    opened: &Opened,
    recipients: &[Recipient],
) -> Result<Arc<dyn Bulk>, Failed> {
    let infos = recipient_infos(&opened.cek, recipients)?;
    let tail = outline.tail.clone().ok_or(Failed)?;
    let len = usize::try_from(tail.len()).map_err(|_| Failed)?;
    let head = build::head_for_recipients(original, &infos, len).ok_or(Failed)?;
    Ok(Arc::new(Chain(vec![Arc::new(head), Arc::new(tail)])))
}
