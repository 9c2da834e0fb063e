//! A request's path and query: what parses is spelled exactly as it prints itself, and what goes
//! upstream is built from the parsed value alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::media::Target;

fuzz_target!(|text: &str| {
    let (path, query) = split(text);
    let Ok(target) = Target::parse(path, query) else { return };
    assert_eq!(target.media.to_string(), path);

    let upstream = target.media.upstream_path();
    let (upstream_path, upstream_query) = split(&upstream);
    assert_eq!(upstream_path, path);
    let known = ["RequestedChannels=1", "RequestedChannels=2"];
    assert!(upstream_query.is_none_or(|query| known.contains(&query)), "{upstream}");

    let again = Target::parse(upstream_path, upstream_query).expect("our own spelling parses");
    assert_eq!(again.media, target.media);
    assert_eq!(again.purpose, None, "the purpose never travels upstream");
});

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}
