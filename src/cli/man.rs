//! `noticegate man`: a manual page for each command.

use std::path::PathBuf;

use clap::CommandFactory;

use super::{Cli, Exit, complain, say};

/// Write a manual page for each command into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate man --out /usr/local/share/man/man1\n\n\
Then `man noticegate`, `man noticegate-serve` and so on. The Debian package has them in their place.")]
pub(super) struct Man {
    /// The folder, which must exist; earlier pages in it are replaced
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Exit {
        if !self.out.is_dir() {
            let path = self.out.display();
            let problem =
                format!("cannot write manual pages: `{path}` is no folder; make it first");
            complain(&std::io::Error::other(problem));
            return Exit::Invalid;
        }
        match clap_mangen::generate_to(Cli::command(), &self.out) {
            Ok(()) => {
                say(format_args!("The manual pages are in `{}`.", self.out.display()));
                Exit::Done
            }
            Err(error) => {
                complain(&error);
                Exit::Failed
            }
        }
    }
}
