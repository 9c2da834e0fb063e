//! The command line: one file a command.
//!
//! Commands return an `Exit`; only `main` ends the process. What a command tells goes to
//! standard output, what goes wrong to standard error.

mod certs;
mod check;
mod client;
mod completions;
mod config;
mod demo;
mod derive;
mod diff;
mod explain;
mod init;
mod law;
mod ledger;
mod man;
mod policies;
mod register;
mod replay;
mod serve;
mod share;
mod sweep;
mod test;
#[cfg(test)]
mod tests;
mod token;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Decides and records each access to Twilio recordings by the published privacy notice.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "\
Example:\n  noticegate demo\n\nExit status: 0 done, 1 failed, 2 refused, 3 invalid input, \
4 ledger broken"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Check(check::Check),
    Derive(derive::Derive),
    Test(test::Test),
    Explain(Box<explain::Explain>),
    Diff(diff::Diff),
    Init(init::Init),
    Config(config::Config),
    Consent(register::Consent),
    Call(register::Call),
    Case(register::Case),
    Hold(register::Hold),
    Line(register::Line),
    Law(law::Law),
    Ledger(ledger::Ledger),
    Replay(replay::Replay),
    Share(share::Share),
    Sweep(sweep::Sweep),
    Witness(witness::Witness),
    Client(client::Client),
    Token(token::Token),
    Certs(certs::Certs),
    Completions(completions::Completions),
    Man(man::Man),
}

/// How a read command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON value a line.
    Json,
}

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct ConfigPath {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "noticegate.toml", env = "NOTICEGATE_CONFIG")]
    config: PathBuf,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done,
    Failed,
    Refused,
    Invalid,
    Broken,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Refused => 2,
            Exit::Invalid => 3,
            Exit::Broken => 4,
        })
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way, too.
            let _ = error.print();
            return if error.use_stderr() { Exit::Invalid } else { Exit::Done }.into();
        }
    };
    let exit = match cli.command {
        Command::Demo(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Derive(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Consent(command) => command.run(),
        Command::Call(command) => command.run(),
        Command::Case(command) => command.run(),
        Command::Hold(command) => command.run(),
        Command::Line(command) => command.run(),
        Command::Law(command) => command.run(),
        Command::Ledger(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Share(command) => command.run(),
        Command::Sweep(command) => command.run(),
        Command::Witness(command) => command.run(),
        Command::Client(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Certs(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    exit.into()
}

/// Prints a line on standard output. A reader that has gone away is no error of ours.
fn say(line: impl std::fmt::Display) {
    let _ = try_say(line);
}

/// The same; false when the reader has gone away.
fn try_say(line: impl std::fmt::Display) -> bool {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{line}").is_ok()
}

/// Prints an error with its causes on standard error.
fn complain(error: &dyn std::error::Error) {
    use std::io::Write;
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "noticegate: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = writeln!(out, "  because: {cause}");
        source = cause.source();
    }
}
