//! PM2's verbs: which of them work here, which are to come, and which are left out on purpose and why.

/// Whether something of PM2's works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It works.
    Now,
    /// It will: whoever uses it is told "not available yet".
    Later,
    /// It won't, for this reason, which reads after "because".
    Never(&'static str),
}

impl Availability {
    /// What to tell somebody who uses it; nothing when it works.
    pub fn refusal(self, what: &str) -> Option<String> {
        match self {
            Availability::Now => None,
            Availability::Later => Some(format!("{what} is not available yet")),
            Availability::Never(why) => Some(format!("{what} is not supported, because {why}")),
        }
    }
}

/// One verb.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// Whether it works.
    pub availability: Availability,
}

const CLOUD: &str = "it belongs to PM2's cloud service, and baton calls nobody";
const LOGROTATE: &str = "rotation is built in and on; for a logrotate of your own see `docs/logs.md`";
const GIT: &str = "baton does not touch repositories; use git, then reload";
const PROFILE: &str = "it profiles PM2's own Node process, and baton has none";
const NPM: &str = "baton installs nothing by itself; use your package manager";
const SAMPLES: &str = "it copies sample projects of PM2's; `init` writes a process file for the folder that you are in, and `examples` shows commands";
const PUBLISH: &str = "it publishes modules written for PM2 itself";

const fn command(name: &'static str, aliases: &'static [&'static str], availability: Availability) -> Verb {
    Verb { name, aliases, availability }
}

/// All verbs of PM2.
pub const VERBS: &[Verb] = &[
    command("start", &[], Availability::Now),
    command("stop", &[], Availability::Now),
    command("restart", &[], Availability::Now),
    command("delete", &["del"], Availability::Now),
    command("list", &["ls", "l", "ps", "status"], Availability::Now),
    command("jlist", &[], Availability::Now),
    command("prettylist", &[], Availability::Now),
    command("slist", &["sysinfos"], Availability::Now),
    command("describe", &["desc", "info", "show"], Availability::Now),
    command("env", &[], Availability::Now),
    command("pid", &[], Availability::Now),
    command("id", &[], Availability::Now),
    command("logs", &[], Availability::Now),
    command("flush", &[], Availability::Now),
    command("reloadLogs", &[], Availability::Now),
    command("reset", &[], Availability::Now),
    command("save", &["dump"], Availability::Now),
    command("resurrect", &[], Availability::Now),
    command("cleardump", &[], Availability::Now),
    command("kill", &[], Availability::Now),
    command("ping", &[], Availability::Now),
    command("update", &["updatePM2"], Availability::Now),
    command("sendSignal", &[], Availability::Now),
    command("startOrRestart", &[], Availability::Now),
    command("reload", &["gracefulReload"], Availability::Now),
    command("startOrReload", &["startOrGracefulReload"], Availability::Now),
    command("scale", &[], Availability::Now),
    command("startup", &[], Availability::Now),
    command("unstartup", &[], Availability::Now),
    command("monit", &["dashboard", "dash", "imonit"], Availability::Now),
    command("send", &[], Availability::Now),
    command("attach", &[], Availability::Now),
    command("trigger", &[], Availability::Now),
    command("inspect", &[], Availability::Now),
    command("serve", &["expose"], Availability::Now),
    command("deploy", &[], Availability::Now),
    command("init", &["ecosystem"], Availability::Now),
    command("set", &[], Availability::Now),
    command("get", &[], Availability::Now),
    command("unset", &[], Availability::Now),
    command("multiset", &[], Availability::Now),
    command("conf", &[], Availability::Now),
    command("config", &[], Availability::Now),
    command("install", &["module:install", "module:update"], Availability::Now),
    command("uninstall", &["module:uninstall"], Availability::Now),
    command("report", &[], Availability::Now),
    command("logrotate", &[], Availability::Never(LOGROTATE)),
    command("completion", &[], Availability::Now),
    command("examples", &[], Availability::Now),
    command("create", &[], Availability::Never(SAMPLES)),
    command("link", &[], Availability::Never(CLOUD)),
    command("unlink", &[], Availability::Never(CLOUD)),
    command("monitor", &[], Availability::Never(CLOUD)),
    command("unmonitor", &[], Availability::Never(CLOUD)),
    command("open", &[], Availability::Never(CLOUD)),
    command("plus", &[], Availability::Never(CLOUD)),
    command("register", &[], Availability::Never(CLOUD)),
    command("login", &[], Availability::Never(CLOUD)),
    command("logout", &[], Availability::Never(CLOUD)),
    command("pull", &[], Availability::Never(GIT)),
    command("forward", &[], Availability::Never(GIT)),
    command("backward", &[], Availability::Never(GIT)),
    command("profile:mem", &[], Availability::Never(PROFILE)),
    command("profile:cpu", &[], Availability::Never(PROFILE)),
    command("install-otel", &[], Availability::Never(NPM)),
    command("uninstall-otel", &[], Availability::Never(NPM)),
    command("deepUpdate", &[], Availability::Never(NPM)),
    command("autoinstall", &[], Availability::Never(NPM)),
    command("package", &[], Availability::Never(PUBLISH)),
    command("publish", &[], Availability::Never(PUBLISH)),
    command("module:publish", &[], Availability::Never(PUBLISH)),
    command("module:generate", &[], Availability::Never(PUBLISH)),
];

/// The verb of this name or alias.
pub fn find(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == word || verb.aliases.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::{Availability, VERBS, find};
    use std::collections::BTreeSet;

    #[test]
    fn no_word_means_two_verbs() {
        let words: Vec<_> =
            VERBS.iter().flat_map(|verb| [verb.name].into_iter().chain(verb.aliases.iter().copied())).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    }

    #[test]
    fn what_does_not_work_says_why() {
        let refusal = |word: &str| find(word).and_then(|verb| verb.availability.refusal(word));
        assert_eq!(refusal("show"), None);
        assert_eq!(refusal("imonit"), None);
        let create = refusal("create").expect("a reason");
        assert!(create.contains("`init` writes a process file"), "{create}");
        let link = refusal("link").expect("a reason");
        assert!(link.starts_with("link is not supported, because "), "{link}");
        assert_eq!(find("describe").map(|verb| verb.availability), Some(Availability::Now));
    }
}
