//! Scripts in `/etc/init.d`: System V init, and what `update-rc.d` manages.

use super::{Plan, Service, quoted};
use std::path::Path;

/// Who starts the script.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Upstart,
    Systemv,
}

pub(super) fn plan(service: &Service, kind: Kind) -> Plan {
    let name = &service.name;
    let (begin, exports) = (service.command_line(), service.exports());
    let network = if service.wait_ip { "$network $remote_fs" } else { "$local_fs $remote_fs" };
    let text = format!(
        "#!/bin/sh\n\
         # chkconfig: 2345 98 02\n\
         # description: baton, the process manager of {user}\n\
         ### BEGIN INIT INFO\n\
         # Provides:          {name}\n\
         # Required-Start:    {network}\n\
         # Required-Stop:     {network}\n\
         # Should-Start:      $network\n\
         # Should-Stop:       $network\n\
         # Default-Start:     2 3 4 5\n\
         # Default-Stop:      0 1 6\n\
         # Short-Description: baton, the process manager of {user}\n\
         ### END INIT INFO\n\
         \n\
         {exports}\
         \n\
         # Without a login shell: nothing depends on the user's profile.\n\
         baton() {{\n\
         \tif [ \"$(id -un)\" = {quoted_user} ]; then\n\
         \t\t{program} \"$@\"\n\
         \telse\n\
         \t\tsu {quoted_user} -s /bin/sh -c '{program} \"$@\"' -- baton \"$@\"\n\
         \tfi\n\
         }}\n\
         \n\
         case \"$1\" in\n\
         start) baton {begin} ;;\n\
         stop) baton kill ;;\n\
         restart) baton kill && baton {begin} ;;\n\
         reload | force-reload) baton reload all ;;\n\
         status) baton list ;;\n\
         *)\n\
         \techo \"usage: $0 {{start|stop|restart|reload|force-reload|status}}\" >&2\n\
         \texit 2\n\
         \t;;\n\
         esac\n",
        user = service.user,
        quoted_user = quoted(&service.user),
        program = quoted(&service.program).replace('\'', "'\\''"),
    );
    let (enable, disable) = match kind {
        Kind::Upstart => (
            vec![format!("update-rc.d {name} defaults")],
            vec![format!("update-rc.d {name} disable"), format!("update-rc.d -f {name} remove")],
        ),
        Kind::Systemv => (
            vec![format!("chkconfig --add {name}"), format!("chkconfig {name} on")],
            vec![format!("chkconfig {name} off"), format!("chkconfig --del {name}")],
        ),
    };
    let mut ends = vec![format!("/etc/init.d/{name} stop")];
    ends.extend(disable);
    Plan { path: Path::new("/etc/init.d").join(name), mode: 0o755, text, enable, disable: ends, forget: Vec::new() }
}
