//! Prometheus' own text format (0.0.4), from OpenMetrics.
//!
//! The two differ in the names that a comment tells of a counter or an info, and in the last line.

/// The media type.
pub const CLASSIC_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Rewrites the comments. Help comes before type in OpenMetrics, so it waits for it.
pub(super) fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (end, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            let words = help.take().map_or("", |(_, words)| words.trim_end_matches('.'));
            text.push_str(&format!("# HELP {name}{end} {words}.\n# TYPE {name}{end} {kind}\n"));
        } else if !line.starts_with("# EOF") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_tell_the_names_of_the_samples() {
        let open = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"y\"} 1\n\
                    # HELP c What.\n# TYPE c info\nc_info{v=\"1\"} 1\n\
                    # HELP d How.\n# TYPE d gauge\nd 2\n# EOF\n";
        let classic_text = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"y\"} 1\n\
                    # HELP c_info What.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n\
                    # HELP d How.\n# TYPE d gauge\nd 2\n";
        assert_eq!(classic(open), classic_text);
    }
}
