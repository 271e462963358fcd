//! OpenRC: its own supervisor watches over the guard.

use super::{Plan, Service, quoted};
use std::path::Path;

pub(super) fn plan(service: &Service) -> Plan {
    let exports = service.exports();
    let net = if service.wait_ip { "need net" } else { "use net" };
    let (user, program) = (quoted(&service.user), quoted(&service.program));
    let reload = quoted(&format!("{program} reload all"));
    let text = format!(
        "#!/sbin/openrc-run\n\
         # The guard is the process that is watched over: a daemon that dies is started again by it. It ends the apps\n\
         # itself, with their own signals and times.\n\
         \n\
         description=\"baton, the process manager of {name}\"\n\
         supervisor=supervise-daemon\n\
         command={program}\n\
         command_args={arguments}\n\
         command_user={user}\n\
         respawn_delay=1\n\
         retry=TERM/300/KILL/5\n\
         extra_started_commands=\"reload\"\n\
         {exports}\
         \n\
         depend() {{\n\
         \tneed localmount\n\
         \t{net}\n\
         \tafter bootmisc\n\
         }}\n\
         \n\
         reload() {{\n\
         \tsu {user} -s /bin/sh -c {reload}\n\
         }}\n",
        name = service.user,
        arguments = quoted(&format!("{} --as-service", service.command_line())),
    );
    let name = &service.name;
    Plan {
        path: Path::new("/etc/init.d").join(name),
        mode: 0o755,
        text,
        enable: vec![format!("rc-update add {name} default")],
        disable: vec![format!("rc-service {name} stop"), format!("rc-update delete {name} default")],
        forget: Vec::new(),
    }
}
