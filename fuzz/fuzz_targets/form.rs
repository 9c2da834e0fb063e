//! A form: any bytes are refused, or are read as a lenient reader reads them, and what is written
//! of it reads the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::webhook::{FORM_PAIRS_MAX, Form};

fuzz_target!(|bytes: &[u8]| {
    let Ok(form) = Form::read(bytes) else { return };
    assert!(form.pairs().len() <= FORM_PAIRS_MAX);
    let lenient: Form = form_urlencoded::parse(bytes).into_owned().collect();
    assert_eq!(form.pairs(), lenient.pairs(), "strict and lenient readers agree");
    let written = form.write();
    if let Ok(again) = Form::read(written.as_bytes()) {
        assert_eq!(again, form, "what is written reads the same");
    } else {
        assert!(written.len() > bytes.len(), "only an escape more can make it too long");
    }
});
