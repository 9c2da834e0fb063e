//! Reading the file, resolving what it names, and checking that the keys fit together.

use crate::media::{AccountSid, Product};

use super::{Account, BTreeSet, Config, ConfigError, Duration, Issuer, Path, PathBuf, Secret};

impl Config {
    /// Reads and checks a configuration file. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file or the key and what to do.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text("configuration", path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let config = Self::parse(&text, path, folder, &|name| std::env::var(name).ok())?;
        Ok(Self { source: Some(path.to_owned()), ..config })
    }

    /// The same from a text already in memory; `environment` looks up variables.
    ///
    /// # Errors
    /// [`ConfigError`], as for [`Config::load`].
    pub fn parse(
        text: &str,
        path: &Path,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|e| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(text, e.span().map_or(0, |span| span.start)),
            problem: without_values(e.message()),
        })?;
        config.resolve_paths(folder);
        config.check_listen()?;
        config.check_console()?;
        config.check_accounts(environment)?;
        config.check_issuers()?;
        config.check_clients()?;
        config.check_ledger(environment)?;
        config.check_webhooks(environment)?;
        config.check_retention()?;
        config.check_traces()?;
        config.check_shares()?;
        if let Some(origin) = config.cors.origins.iter().find(|origin| !is_https_origin(origin)) {
            let problem = format!("`{origin}` is not `https://` and a host name");
            return Err(wrong("cors.origins", problem));
        }
        Ok(config)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let fixed =
            [&mut self.listen.certificate, &mut self.listen.key, &mut self.policies.directory];
        let keys = self.accounts.iter_mut().flat_map(|account| &mut account.encryption_keys);
        for key in keys {
            key.file = folder.join(&key.file);
        }
        let accounts = self.accounts.iter_mut().flat_map(|a| [&mut a.secret_file, &mut a.ca_file]);
        let issuers = self.issuers.iter_mut().flat_map(|i| [&mut i.jwks_file, &mut i.ca_file]);
        let ledger = &mut self.ledger;
        let postgres = ledger.postgres.iter_mut().flat_map(|p| [&mut p.url_file, &mut p.ca_file]);
        let directory = &mut self.decryption.directory;
        let webhooks = &mut self.webhooks;
        let keys = webhooks.hooks.iter_mut().flat_map(|hook| {
            hook.keys.iter_mut().map(|key| &mut key.file).chain([&mut hook.forward_key_file])
        });
        for path in keys.chain([&mut webhooks.outbox, &mut webhooks.ca_file]).flatten() {
            *path = folder.join(&*path);
        }
        let named = [
            directory,
            &mut ledger.path,
            &mut ledger.checkpoint_file,
            &mut ledger.ca_file,
            &mut self.traces.ca_file,
        ];
        let made = [&mut ledger.directory, &mut ledger.key_file];
        let made = made.into_iter().filter(|path| !path.as_os_str().is_empty());
        let may = accounts.chain(issuers).chain(postgres).chain(named).flatten();
        let console = self.console.iter_mut().flat_map(|c| {
            [&mut c.certificate, &mut c.key, &mut c.login.client_secret_file, &mut c.drafts]
        });
        let mail = self.shares.mail.iter_mut().flat_map(|m| [&mut m.password_file, &mut m.ca_file]);
        for path in console.chain(mail).flatten() {
            *path = folder.join(&*path);
        }
        let clients = self.clients.iter_mut();
        let clients = clients.flat_map(|c| std::iter::once(&mut c.file).chain(&mut c.ca_file));
        for path in fixed.into_iter().chain(made).chain(may).chain(clients) {
            *path = folder.join(&*path);
        }
    }

    fn check_traces(&self) -> Result<(), ConfigError> {
        let Some(endpoint) = &self.traces.endpoint else { return Ok(()) };
        let uri = endpoint.parse::<http::Uri>().ok();
        let is_sound = |uri: &http::Uri| {
            matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some()
        };
        match uri.as_ref().is_some_and(is_sound) {
            true => Ok(()),
            false => {
                let problem =
                    "a URL with a host is needed, such as http://localhost:4318/v1/traces";
                Err(wrong("traces.endpoint", problem))
            }
        }
    }

    /// Puts in what follows from other keys, and checks the rest.
    fn check_ledger(
        &mut self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        let ledger = &mut self.ledger;
        if ledger.origin.is_empty() {
            let name = self.listen.names.first().map_or("", String::as_str);
            ledger.origin = format!("{name}/ledger");
        }
        if ledger.origin.len() > 100 || ledger.origin.chars().any(|c| c.is_whitespace() || c == '+')
        {
            let problem = "at most 100 bytes, without blanks and plus signs";
            return Err(wrong("ledger.origin", problem));
        }
        let beside = |path: &Path, end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        match (&ledger.path, &mut ledger.postgres) {
            (Some(path), None) => {
                for (made, end) in [(&mut ledger.directory, ".d"), (&mut ledger.key_file, ".key")] {
                    if made.as_os_str().is_empty() {
                        *made = beside(path, end);
                    }
                }
            }
            (None, Some(postgres)) => {
                for (key, made) in
                    [("directory", &ledger.directory), ("key_file", &ledger.key_file)]
                {
                    if made.as_os_str().is_empty() {
                        let problem = "name one; beside a database there is no default";
                        return Err(wrong(format!("ledger.{key}"), problem));
                    }
                }
                let named = (&postgres.url_file, &postgres.url_env);
                postgres.url = read_secret("ledger.postgres.url", "", named, environment)?;
            }
            _ => return Err(wrong("ledger", "give either `path` or a table `ledger.postgres`")),
        }
        let urls = ledger.witnesses.iter().map(|witness| ("witness.url", &witness.url));
        for (key, url) in
            urls.chain(ledger.checkpoint_url.iter().map(|url| ("checkpoint_url", url)))
        {
            if !url.starts_with("https://") || url.parse::<http::Uri>().is_err() {
                let problem = "must be a URL that starts with `https://`";
                return Err(wrong(format!("ledger.{key}"), problem));
            }
        }
        Ok(())
    }

    fn check_webhooks(
        &mut self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        let first = self.listen.names.first().map_or("", String::as_str);
        let origin = format!("https://{first}");
        for hook in &mut self.webhooks.hooks {
            let of = format!(" of `{}`", hook.name);
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if hook.name.is_empty() || hook.name.len() > 64 || !hook.name.bytes().all(plain) {
                let problem = "1 to 64 lower-case letters, digits and hyphens";
                return Err(wrong("webhooks.hook.name", problem));
            }
            if hook.origins.is_empty() {
                hook.origins.push(origin.clone());
            }
            for key in &mut hook.keys {
                let named = (&key.file, &key.env);
                key.secret = read_secret("webhooks.hook.key", &of, named, environment)?;
            }
            if let Some(path) = &hook.forward_key_file {
                hook.forward_key = Some(Secret::new(&read_text("secret", path)?));
            }
            let is_served = |account: &Account| {
                account.sid == hook.account || account.subaccounts.contains(&hook.account)
            };
            if !self.accounts.iter().any(is_served) {
                let problem = format!("{} is not an account that is served", hook.account);
                return Err(wrong(format!("webhooks.hook.account{of}"), problem));
            }
        }
        Ok(())
    }

    fn check_listen(&self) -> Result<(), ConfigError> {
        if self.listen.names.is_empty() {
            return Err(wrong("listen.names", "name at least one host, as callers write it"));
        }
        check_names("listen.names", &self.listen.names)
    }

    /// Puts in what follows from `[listen]`.
    fn check_console(&mut self) -> Result<(), ConfigError> {
        let Some(console) = &mut self.console else { return Ok(()) };
        if console.certificate.is_some() != console.key.is_some() {
            return Err(wrong("console.key", "give both a certificate and its key, or neither"));
        }
        if console.names.is_empty() {
            console.names.clone_from(&self.listen.names);
        }
        check_names("console.names", &console.names)?;
        let login = &mut console.login;
        if let Some(path) = &login.client_secret_file {
            login.client_secret = Some(Secret::new(&read_text("secret", path)?));
        }
        let Some(name) = &login.issuer else { return Ok(()) };
        let Some(issuer) = self.issuers.iter().find(|issuer| issuer.name == *name) else {
            let problem = "the `name` of one of the [[issuer]] tables";
            return Err(wrong("console.login.issuer", problem));
        };
        if !issuer.issuer.starts_with("https://") {
            let problem = "people can only sign in at an issuer whose `issuer` is its `https://` \
                           address";
            return Err(wrong("console.login.issuer", problem));
        }
        if login.client_id.as_ref().is_none_or(String::is_empty) {
            let problem = "give the id that the provider has for the console";
            return Err(wrong("console.login.client_id", problem));
        }
        Ok(())
    }

    fn check_accounts(
        &mut self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        if self.accounts.is_empty() {
            return Err(wrong("account", "add an [[account]] table for each Twilio account"));
        }
        let names = self.listen.names.clone();
        let mut sids = BTreeSet::new();
        for account in &mut self.accounts {
            let key = |name: &str| format!("account.{name} of {}", account.sid);
            let all = account.subaccounts.iter().chain([&account.sid]);
            let places = account.names.iter().map(String::as_str);
            let places: Vec<&str> = places.chain(account.names.is_empty().then_some("")).collect();
            for sid in all {
                for place in &places {
                    if !sids.insert((*sid, (*place).to_owned())) {
                        let problem = format!(
                            "{sid} is listed twice; the same account in two regions needs \
                             `names` that tell them apart"
                        );
                        return Err(wrong("account.sid", problem));
                    }
                }
            }
            let upstream = account.upstream.strip_suffix('/').unwrap_or(&account.upstream);
            if !is_https_origin(upstream) {
                let problem = "must be `https://` and a host name, with an optional port and \
                               nothing else";
                return Err(wrong(key("upstream"), problem));
            }
            account.upstream = upstream.to_owned();
            for (product, url) in &mut account.upstreams {
                let name = format!("account.upstreams.{product} of {}", account.sid);
                if Product::read(product).is_none_or(|product| product == Product::Api) {
                    let known = "the products are video, live, mcs, intelligence and iam";
                    return Err(wrong(name, known));
                }
                *url = url.strip_suffix('/').unwrap_or(url).to_owned();
                if !is_https_origin(url) {
                    let problem = "must be `https://` and a host name, with an optional port";
                    return Err(wrong(name, problem));
                }
            }
            if let Some(name) = account.names.iter().find(|name| !names.contains(*name)) {
                let problem = format!("`{name}` is not one of `listen.names`");
                return Err(wrong(format!("account.names of {}", account.sid), problem));
            }
            let of = format!(" of {}", account.sid);
            let named = (&account.secret_file, &account.secret_env);
            account.secret = read_secret("account.secret", &of, named, environment)?;
            for key in &mut account.encryption_keys {
                key.pem = Secret::new(&read_text("private key", &key.file)?);
            }
        }
        Ok(())
    }

    fn check_retention(&self) -> Result<(), ConfigError> {
        let is_served = |sid: &AccountSid| {
            self.accounts.iter().any(|own| own.sid == *sid || own.subaccounts.contains(sid))
        };
        match self.retention.accounts.iter().find(|sid| !is_served(sid)) {
            None => Ok(()),
            Some(sid) => {
                let problem = format!("{sid} is not an account that is served");
                Err(wrong("retention.accounts", problem))
            }
        }
    }

    fn check_shares(&self) -> Result<(), ConfigError> {
        let Some(host) = &self.shares.host else { return Ok(()) };
        let name = host.split(':').next().unwrap_or_default();
        match self.listen.names.iter().any(|own| own == name) {
            true => Ok(()),
            false => Err(wrong("shares.host", "one of `listen.names`, with a port or without")),
        }
    }

    fn check_clients(&self) -> Result<(), ConfigError> {
        match &self.clients {
            Some(clients) if clients.required && clients.ca_file.is_none() => {
                let problem = "name the authorities in `clients.ca_file`, too";
                Err(wrong("clients.required", problem))
            }
            _ => Ok(()),
        }
    }

    fn check_issuers(&self) -> Result<(), ConfigError> {
        if self.issuers.is_empty() {
            return Err(wrong("issuer", "add an [[issuer]] table for whoever signs your tokens"));
        }
        let mut names = BTreeSet::new();
        let mut issuers = BTreeSet::new();
        for issuer in &self.issuers {
            issuer.check()?;
            if !names.insert(&issuer.name) || !issuers.insert(&issuer.issuer) {
                let problem = format!("`{}` is listed twice", issuer.name);
                return Err(wrong("issuer.name or issuer.issuer", problem));
            }
        }
        Ok(())
    }
}

impl Issuer {
    fn check(&self) -> Result<(), ConfigError> {
        let key = |name: &str| format!("issuer.{name} of `{}`", self.name);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(plain) {
            let problem = "1 to 32 lower-case letters, digits and hyphens";
            return Err(wrong("issuer.name", problem));
        }
        if [super::CLIENT_ISSUER, super::SHARE_ISSUER].contains(&self.name.as_str()) {
            let problem = "`client` stands for machine clients; choose another";
            return Err(wrong("issuer.name", problem));
        }
        match (&self.jwks_url, &self.jwks_file) {
            (Some(url), None) if url.starts_with("https://") => {}
            (Some(_), None) => return Err(wrong(key("jwks_url"), "must start with `https://`")),
            (None, Some(_)) => {}
            _ => return Err(wrong(key("jwks_url"), "give either jwks_url or jwks_file")),
        }
        if self.algorithms.is_empty() {
            return Err(wrong(key("algorithms"), "list at least one, such as \"ES256\""));
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return Err(wrong(key("audiences"), "list at least one, as the issuer writes it"));
        }
        if self.issuer.is_empty() {
            return Err(wrong(key("issuer"), "give the `iss` claim, byte for byte"));
        }
        if self.roles.is_empty() {
            return Err(wrong(key("roles"), "map at least one value of the roles claim to a role"));
        }
        Ok(())
    }

    /// The furthest that a verified token is cached, whatever its `exp` says: keys may be revoked.
    #[must_use]
    pub fn token_cache_max(&self) -> Duration {
        self.refresh_seconds.duration()
    }
}

fn check_names(key: &str, names: &[String]) -> Result<(), ConfigError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    match names.iter().all(|name| !name.is_empty() && name.bytes().all(plain)) {
        true => Ok(()),
        false => {
            let problem = "host names are lower-case letters, digits, hyphens and dots, without a \
                           port";
            Err(wrong(key, problem))
        }
    }
}

/// Reads a secret from the file or the environment variable that is named for it.
fn read_secret(
    key: &str,
    of: &str,
    named: (&Option<PathBuf>, &Option<String>),
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, ConfigError> {
    let file = format!("{key}_file{of}");
    let secret = match named {
        (Some(path), None) => Secret::new(&read_text("secret", path)?),
        (None, Some(name)) => Secret::new(&environment(name).ok_or_else(|| {
            wrong(format!("{key}_env{of}"), format!("environment variable `{name}` is not set"))
        })?),
        _ => return Err(wrong(file, format!("give either {key}_file or {key}_env"))),
    };
    if secret.is_empty() {
        return Err(wrong(file, "the secret is empty"));
    }
    Ok(secret)
}

fn read_text(what: &'static str, path: &Path) -> Result<String, ConfigError> {
    let path: PathBuf = path.to_owned();
    std::fs::read_to_string(&path).map_err(|source| ConfigError::Read { what, path, source })
}

fn is_https_origin(text: &str) -> bool {
    let host = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
    text.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(host) && rest.parse::<http::uri::Authority>().is_ok()
    })
}

fn wrong(key: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.into(), problem: problem.into() }
}

/// The TOML reader quotes a value of the wrong kind; what it quotes may be a secret that was put
/// under the wrong key.
pub(crate) fn without_values(message: &str) -> String {
    for kind in ["invalid type", "invalid value", "unknown variant"] {
        if message.starts_with(kind) {
            let expected = message.rsplit_once(", expected ").map_or("another value", |(_, e)| e);
            return format!("this value does not fit, expected {expected}");
        }
    }
    message.to_owned()
}

/// The line of a byte, counted from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}
