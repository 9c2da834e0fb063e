//! A request's path and query: what parses is spelled exactly as it prints itself, and what goes
//! upstream is built from the parsed value alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::media::Target;

fuzz_target!(|text: &str| {
    let (path, query) = split(text);
    let Ok(target) = Target::parse(path, query) else { return };
    assert_eq!(target.media.to_string(), path);

    let upstream = target.media.upstream_path(&target.query);
    assert!(upstream.bytes().all(|b| b.is_ascii_graphic()), "{upstream}");
    assert!(!upstream.contains("ticket=") && !upstream.contains("purpose="), "{upstream}");
    if !target.media.is_behind_link() {
        assert_eq!(split(&upstream).0, path);
    }

    let own = target.media.url("", &[]);
    let (own_path, own_query) = split(&own);
    let again = Target::parse(own_path, own_query).expect("our own spelling parses");
    assert_eq!(again.media, target.media);
    assert_eq!((again.purpose, again.ticket), (None, None));
});

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}
