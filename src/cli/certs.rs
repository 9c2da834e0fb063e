//! `noticegate certs`: development certificates in a folder.
//!
//! The authority's own key is not kept: nothing else can ever be signed with it, so a folder that
//! leaks gives away one name on one desk and no more.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Exit, complain, say};
use crate::certs::Authority;

/// Make certificates for development: an authority, a server, and a client if one is named
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate certs --out certs\n  \
noticegate certs --out certs --name rec.test --name 127.0.0.1 --client export.test\n\n\
Nothing that is there already is replaced. For desks and tests: in production use a certificate of\n\
your own authority or a public one.")]
pub(super) struct Certs {
    /// The folder; made when it is missing
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// A host name or address of the server; may be repeated
    #[arg(long = "name", value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
    names: Vec<String>,
    /// Make a certificate of this name for a machine client, too
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
}

/// The certificates could not be made or written.
#[derive(Debug, thiserror::Error)]
enum CertsError {
    #[error(
        "`{}` is there already; name another folder, or take it away first",
        .0.display()
    )]
    Exists(PathBuf),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Make(#[from] crate::certs::CertificateError),
}

impl Certs {
    pub(super) fn run(&self) -> Exit {
        match self.make() {
            Ok(()) => {
                self.tell();
                Exit::Done
            }
            Err(error) => {
                complain(&error);
                match error {
                    CertsError::Exists(_) | CertsError::Make(_) => Exit::Invalid,
                    CertsError::Write { .. } => Exit::Failed,
                }
            }
        }
    }

    fn make(&self) -> Result<(), CertsError> {
        let authority = Authority::new()?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let server = authority.issue(&names)?;
        let mut files = vec![
            ("authority.pem", authority.certificate().to_owned(), 0o644),
            ("server.pem", server.certificate, 0o644),
            ("server.key", server.key, 0o600),
        ];
        if let Some(name) = &self.client {
            let client = authority.issue_client(name)?;
            files.push(("client.pem", client.certificate, 0o644));
            files.push(("client.key", client.key, 0o600));
        }
        let files = files.into_iter().map(|(name, text, mode)| (self.out.join(name), text, mode));
        let files: Vec<_> = files.collect();
        // All or nothing: a key beside another run's certificate would only confuse.
        if let Some((path, ..)) = files.iter().find(|(path, ..)| path.symlink_metadata().is_ok()) {
            return Err(CertsError::Exists(path.clone()));
        }
        let wrong = |path: &Path, source| CertsError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(&self.out).map_err(|source| wrong(&self.out, source))?;
        for (path, text, mode) in &files {
            write_new(path, text, *mode).map_err(|source| wrong(path, source))?;
        }
        Ok(())
    }

    fn tell(&self) {
        let folder = self.out.display();
        say(format_args!(
            "Made in `{folder}`, for {}:

  authority.pem  give it to callers, and to nobody else: `curl --cacert {folder}/authority.pem`,
                 NODE_EXTRA_CA_CERTS, REQUESTS_CA_BUNDLE. Its key was not kept.
  server.pem     listen.certificate
  server.key     listen.key; readable by you alone",
            self.names.join(", "),
        ));
        if let Some(name) = &self.client {
            say(format_args!(
                "  client.pem     the certificate of the client whose `certificate` is `dns:{name}`:
                 `curl --cert {folder}/client.pem --key {folder}/client.key`; the gate trusts it
                 with `clients.ca_file = \"{folder}/authority.pem\"`
  client.key     its key; readable by you alone"
            ));
        }
        say("\nFor development only: whoever trusts authority.pem trusts what this desk made.");
    }
}

/// Never through what is there: somebody else's link may stand in the place of a key.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
