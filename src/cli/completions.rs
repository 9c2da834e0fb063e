//! `noticegate completions`: what a shell needs to complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Exit};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate completions bash > /usr/share/bash-completion/completions/noticegate\n  \
noticegate completions zsh > /usr/share/zsh/vendor-completions/_noticegate\n  \
noticegate completions fish > ~/.config/fish/completions/noticegate.fish\n\n\
The Debian package has them in their places.")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Exit {
        use std::io::Write;
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "noticegate", &mut text);
        // A reader that has gone away is no error of ours.
        let _ = std::io::stdout().lock().write_all(&text);
        Exit::Done
    }
}
