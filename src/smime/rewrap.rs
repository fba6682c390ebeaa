//! The same ciphertext for other recipients: new RecipientInfos replace the old ones around bytes
//! that are not touched. The caller has proven the content with the key it hands over.

use crate::cms::build;
use crate::cms::content::ContentInfo;
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
