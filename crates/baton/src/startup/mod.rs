//! Starting with the machine: what each init system is given, and what it is told. Pure: who asks writes the file and
//! runs the commands.
//!
//! To add an init system, add a variant of [`Platform`], and a file that renders its text.

mod launchd;
mod openrc;
mod rcd;
mod systemd;
mod sysv;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

/// An init system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Systemd,
    Upstart,
    Systemv,
    Openrc,
    Launchd,
    Rcd,
    RcdOpenbsd,
}

/// Which program is the sign of which init system, in the order in which they are looked for: PM2's.
const SIGNS: &[(&str, Platform)] = &[
    ("systemctl", Platform::Systemd),
    ("update-rc.d", Platform::Upstart),
    ("chkconfig", Platform::Systemv),
    ("rc-update", Platform::Openrc),
    ("launchctl", Platform::Launchd),
    ("sysrc", Platform::Rcd),
    ("rcctl", Platform::RcdOpenbsd),
];

impl Platform {
    /// The name of it, as one writes it on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Platform::Systemd => "systemd",
            Platform::Upstart => "upstart",
            Platform::Systemv => "systemv",
            Platform::Openrc => "openrc",
            Platform::Launchd => "launchd",
            Platform::Rcd => "rcd",
            Platform::RcdOpenbsd => "rcd-openbsd",
        }
    }

    /// The init system of this name, or of the system with it.
    pub(crate) fn named(word: &str) -> Option<Platform> {
        Some(match word {
            "systemd" | "ubuntu" | "centos" | "arch" | "oracle" => Platform::Systemd,
            "upstart" | "ubuntu14" | "ubuntu12" => Platform::Upstart,
            "systemv" | "amazon" | "centos6" => Platform::Systemv,
            "openrc" | "gentoo" | "alpine" => Platform::Openrc,
            "launchd" | "macos" | "darwin" => Platform::Launchd,
            "rcd" | "freebsd" => Platform::Rcd,
            "rcd-openbsd" | "openbsd" => Platform::RcdOpenbsd,
            _ => return None,
        })
    }

    /// The init system whose program is there.
    pub(crate) fn found(is_there: impl Fn(&str) -> bool) -> Option<Platform> {
        SIGNS.iter().find(|(program, _)| is_there(program)).map(|(_, platform)| *platform)
    }

    /// What a service of this program for this user is called here.
    pub(crate) fn service_name(self, program: &str, user: &str) -> String {
        match self {
            Platform::Systemd | Platform::Upstart | Platform::Systemv => format!("{program}-{user}"),
            Platform::Launchd => format!("{program}.{user}"),
            Platform::Rcd | Platform::RcdOpenbsd => format!("{program}_{user}"),
            Platform::Openrc => program.to_owned(),
        }
    }

    /// What this init system is given and told.
    pub(crate) fn plan(self, service: &Service) -> Plan {
        match self {
            Platform::Systemd => systemd::plan(service),
            Platform::Upstart => sysv::plan(service, sysv::Kind::Upstart),
            Platform::Systemv => sysv::plan(service, sysv::Kind::Systemv),
            Platform::Openrc => openrc::plan(service),
            Platform::Launchd => launchd::plan(service),
            Platform::Rcd => rcd::plan(service, rcd::Kind::Freebsd),
            Platform::RcdOpenbsd => rcd::plan(service, rcd::Kind::Openbsd),
        }
    }
}

/// What is to be started, as whom and with what.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The service's own name.
    pub(crate) name: String,
    /// Whose processes they are.
    pub(crate) user: String,
    /// That user's folder.
    pub(crate) user_home: String,
    /// The absolute path of this program.
    pub(crate) program: String,
    /// The variable that names the home, and the home.
    pub(crate) home: (&'static str, String),
    /// Where programs are looked for.
    pub(crate) path: String,
    /// The process file that is started, instead of the list that `save` kept.
    pub(crate) file: Option<String>,
    /// Wait until the network has an address.
    pub(crate) wait_ip: bool,
}

impl Service {
    /// What the program is asked to do.
    fn words(&self) -> Vec<&str> {
        match &self.file {
            None => vec!["resurrect"],
            Some(file) => vec!["start", file],
        }
    }

    /// The same, as a shell reads it.
    fn command_line(&self) -> String {
        self.words().into_iter().map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// The lines with which a shell script sets the variables.
    fn exports(&self) -> String {
        self.variables().iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
    }

    /// The variables of the service.
    fn variables(&self) -> [(&str, &str); 3] {
        [("PATH", &self.path), ("HOME", &self.user_home), (self.home.0, &self.home.1)]
    }
}

/// What an init system is given and told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The file.
    pub(crate) path: PathBuf,
    /// Who may do what with it.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) text: String,
    /// What makes it start with the machine.
    pub(crate) enable: Vec<String>,
    /// What undoes that, while the file is still there. One that fails does not keep the others from being tried.
    pub(crate) disable: Vec<String>,
    /// What is told once the file is gone.
    pub(crate) forget: Vec<String>,
}

/// A word for `/bin/sh` that means this text.
pub(crate) fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| String::new(), std::borrow::Cow::into_owned)
}
