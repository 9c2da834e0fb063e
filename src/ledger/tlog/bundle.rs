//! Entry bundles (C2SP tlog-tiles): the entries in files of 256, each after its length.

use super::merkle::TILE_WIDTH;
use super::tiles::numbered;

/// LIMIT: bytes of an entry. The format counts them in 16 bits.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Entries that cannot be bundled, or bytes that are not a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is too long for the format.
    #[error("entry {0} of the bundle is longer than 65,535 bytes")]
    TooLong(usize),
    /// A bundle holds 1 to 256 entries.
    #[error("a bundle holds 1 to 256 entries")]
    Count,
    /// The last entry is cut off.
    #[error("the bundle ends in the middle of entry {0}")]
    Cut(usize),
}

/// The path of a bundle below the log's folder: `tile/entries/x001/234.p/8`.
#[must_use]
pub fn bundle_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", numbered(index, width))
}

/// Puts 1 to 256 entries into a bundle.
///
/// # Errors
/// [`BundleError`] if there are none or too many, or one is too long.
pub fn encode<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    if entries.is_empty() || entries.len() > usize::from(TILE_WIDTH) {
        return Err(BundleError::Count);
    }
    let mut bundle = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong(place))?;
        bundle.extend(length.to_be_bytes());
        bundle.extend(entry);
    }
    Ok(bundle)
}

/// Takes the entries out of a bundle.
///
/// # Errors
/// [`BundleError`] if there are none or too many, or the last one is cut off.
pub fn decode(bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        if entries.len() == usize::from(TILE_WIDTH) {
            return Err(BundleError::Count);
        }
        let cut = BundleError::Cut(entries.len());
        let (length, after) = rest.split_first_chunk().ok_or(cut.clone())?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(cut)?;
        entries.push(entry);
        rest = after;
    }
    if entries.is_empty() { Err(BundleError::Count) } else { Ok(entries) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_of_any_length_come_back() {
        let longest = vec![7; ENTRY_BYTES_MAX];
        let bundle = encode(&[&b"one"[..], b"", &longest]).unwrap();
        assert_eq!(&bundle[..7], b"\0\x03one\0\0");
        assert_eq!(decode(&bundle).unwrap(), [&b"one"[..], b"", &longest]);
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused() {
        assert_eq!(encode::<&[u8]>(&[]), Err(BundleError::Count));
        assert_eq!(encode(&[[0]; 257]), Err(BundleError::Count));
        assert_eq!(encode(&[vec![], vec![0; 65_536]]), Err(BundleError::TooLong(1)));
        assert_eq!(decode(b""), Err(BundleError::Count));
        assert_eq!(decode(&[0; 2 * 257]), Err(BundleError::Count));
        assert_eq!(decode(b"\0\x01a\0\x02b"), Err(BundleError::Cut(1)));
        assert_eq!(decode(b"\0\x01a\0"), Err(BundleError::Cut(1)));
    }

    #[test]
    fn bundles_lie_beside_the_tiles() {
        assert_eq!(bundle_path(0, 256), "tile/entries/000");
        assert_eq!(bundle_path(1_234_067, 8), "tile/entries/x001/x234/067.p/8");
    }

    proptest! {
        #[test]
        fn every_bundle_has_one_form(bytes: Vec<u8>) {
            if let Ok(entries) = decode(&bytes) {
                prop_assert_eq!(encode(&entries).unwrap(), bytes);
            }
        }
    }
}
