//! `encryption_details`, as it comes from Twilio or from who says to be Twilio: any JSON is an
//! envelope or is refused, both spellings say the same, and no envelope opens without a key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::upstream::decrypt::{DecryptError, Envelope, PrivateKeys};
use serde_json::Value;

const SPELLINGS: [(&str, &str); 3] = [
    ("public_key_sid", "encryption_public_key_sid"),
    ("encrypted_cek", "encryption_cek"),
    ("iv", "encryption_iv"),
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(details) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(envelope) = Envelope::read(&details) else { return };
    let sid = envelope.key_sid().to_string();
    let mut other = details.clone();
    for (one, another) in SPELLINGS {
        let members = other.as_object_mut().expect("what is read is an object");
        let (name, part) = match members.remove(one) {
            Some(part) => (another, part),
            None => (one, members.remove(another).expect("each part is there")),
        };
        assert!(part.is_string(), "each part is text");
        members.insert(name.to_owned(), part);
    }
    assert_eq!(Envelope::read(&other).as_ref(), Ok(&envelope), "the spelling does not matter");

    let named = other.get("public_key_sid").or_else(|| other.get("encryption_public_key_sid"));
    assert_eq!(named.and_then(Value::as_str), Some(&*sid), "a key has one spelling");
    let opened = PrivateKeys::default().open(&envelope);
    assert!(matches!(opened, Err(DecryptError::NoKeys)), "without keys nothing opens");
});
