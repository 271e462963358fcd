//! systemd.

use super::{Plan, Service};
use std::path::Path;

/// The unit. What is not said there:
///
/// - `ExecStop`: systemd asks the guard to end with SIGTERM, which ends the apps and then daemon and guard. A command would
///   also be run when a guard was killed, and the apps are to outlive that.
/// - the directories of Node's versions: each app has the search path that it was started with.
pub(super) fn plan(service: &Service) -> Plan {
    let target = if service.wait_ip { "network-online.target" } else { "network.target" };
    let wants = if service.wait_ip { "Wants=network-online.target\n" } else { "" };
    let program = escaped(&service.program);
    let words: Vec<String> = service.words().iter().map(|word| escaped(word)).collect();
    let variables: String = service
        .variables()
        .iter()
        .map(|(name, value)| format!("Environment={}\n", environment(&format!("{name}={value}"))))
        .collect();
    let text = format!(
        "[Unit]\n\
         Description=baton, the process manager of {user}\n\
         After={target}\n\
         {wants}\
         \n\
         [Service]\n\
         # The main process is the guard: it starts a daemon that dies again, and is told of by `MAINPID` when it was\n\
         # killed itself and its daemon took its place. READY=1 comes when the saved apps are started, from a process\n\
         # beside the guard.\n\
         Type=notify\n\
         NotifyAccess=all\n\
         User={user}\n\
         {variables}\
         ExecStart={program} {words} --as-service\n\
         ExecReload={program} reload all\n\
         Restart=on-failure\n\
         # Only the guard is signalled; it ends the apps with their own signals and times. When guard and daemon are\n\
         # killed the apps live on, and the next daemon finds them.\n\
         KillMode=process\n\
         TimeoutStartSec=5min\n\
         TimeoutStopSec=5min\n\
         # Limits of single apps, and an app that ran out of memory, are baton's to see to.\n\
         Delegate=yes\n\
         # Above the groups of apps there may be no processes; systemd before 254 passes over this line.\n\
         DelegateSubgroup={own}\n\
         OOMPolicy=continue\n\
         LimitNOFILE=1048576\n\
         LimitNPROC=infinity\n\
         LimitCORE=infinity\n\
         TasksMax=infinity\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        user = service.user,
        own = baton_os::cgroup::OWN,
        words = words.join(" "),
    );
    let unit = format!("{}.service", service.name);
    Plan {
        path: Path::new("/etc/systemd/system").join(&unit),
        mode: 0o644,
        text,
        enable: vec!["systemctl daemon-reload".into(), format!("systemctl enable {unit}")],
        disable: vec![format!("systemctl stop {unit}"), format!("systemctl disable {unit}")],
        forget: vec!["systemctl daemon-reload".into()],
    }
}

/// A word of a command of a unit: `%` and `$` mean something there.
fn escaped(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if word.contains([' ', '\t', '\'', ';']) || word.contains('"') { format!("\"{word}\"") } else { word }
}

/// An assignment: quoted as a whole, and only `%` means something.
fn environment(assignment: &str) -> String {
    format!("\"{}\"", assignment.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}
