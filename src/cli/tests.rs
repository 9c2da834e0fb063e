//! What every command must have.

use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// Every command with its own name before it, from the root.
fn all(command: &Command, before: &str, found: &mut Vec<(String, Command)>) {
    let name = format!("{before}{}", command.get_name());
    found.push((name.clone(), command.clone()));
    command.get_subcommands().for_each(|below| all(below, &format!("{name} "), found));
}

/// The examples of a help text as words, without what only a shell understands.
fn examples(help: &str) -> Vec<Vec<String>> {
    let joined = help.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| line.starts_with("noticegate "));
    lines.map(words).collect()
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|w| !w.is_empty())),
            (None, '>' | '|' | '#') if word.is_empty() => return words,
            (_, c) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|w| !w.is_empty()));
    words
}

#[test]
fn every_command_has_an_example_of_itself_that_parses() {
    let mut found = Vec::new();
    all(&Cli::command(), "", &mut found);
    assert!(found.len() > 30, "all commands are walked");
    for (name, command) in found {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        assert!(!examples.is_empty(), "`{name} --help` has no example");
        for example in examples {
            let line = example.join(" ");
            assert!(line.starts_with(&name), "`{name}` gives an example of another: {line}");
            if let Err(error) = Cli::try_parse_from(&example) {
                panic!("an example of `{name}` does not parse: {line}: {error}");
            }
        }
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}
