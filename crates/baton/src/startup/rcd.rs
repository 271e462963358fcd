//! `rc.d` of FreeBSD and OpenBSD.

use super::{Plan, Service, quoted};
use std::path::Path;

/// Whose `rc.d`.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Freebsd,
    Openbsd,
}

pub(super) fn plan(service: &Service, kind: Kind) -> Plan {
    match kind {
        Kind::Freebsd => freebsd(service),
        Kind::Openbsd => openbsd(service),
    }
}

/// A command of this program as a word for `su -c`.
fn command(service: &Service, words: &[&str]) -> String {
    let variables = service.variables();
    let variables = variables.iter().map(|(name, value)| quoted(&format!("{name}={value}")));
    let words = words.iter().map(|word| quoted(word));
    let all: Vec<String> =
        ["env".to_owned()].into_iter().chain(variables).chain([quoted(&service.program)]).chain(words).collect();
    quoted(&all.join(" "))
}

fn freebsd(service: &Service) -> Plan {
    let (name, user) = (&service.name, quoted(&service.user));
    let run = |words: &[&str]| format!("\tsu -m {user} -c {}\n", command(service, words));
    let text = format!(
        "#!/bin/sh\n\
         \n\
         # PROVIDE: {name}\n\
         # REQUIRE: LOGIN{network}\n\
         # KEYWORD: shutdown\n\
         \n\
         . /etc/rc.subr\n\
         \n\
         name={name}\n\
         rcvar={name}_enable\n\
         start_cmd={name}_start\n\
         stop_cmd={name}_stop\n\
         reload_cmd={name}_reload\n\
         status_cmd={name}_status\n\
         extra_commands=\"reload status\"\n\
         \n\
         {name}_start() {{\n{start}}}\n\
         \n\
         {name}_stop() {{\n{stop}}}\n\
         \n\
         {name}_reload() {{\n{reload}}}\n\
         \n\
         {name}_status() {{\n{status}}}\n\
         \n\
         load_rc_config \"$name\"\n\
         run_rc_command \"$1\"\n",
        network = if service.wait_ip { " NETWORKING" } else { "" },
        start = run(&service.words()),
        stop = run(&["kill"]),
        reload = run(&["reload", "all"]),
        status = run(&["list"]),
    );
    Plan {
        path: Path::new("/usr/local/etc/rc.d").join(name),
        mode: 0o755,
        text,
        enable: vec![format!("sysrc {name}_enable=YES")],
        disable: vec![format!("/usr/local/etc/rc.d/{name} stop"), format!("sysrc -x {name}_enable")],
        forget: Vec::new(),
    }
}

fn openbsd(service: &Service) -> Plan {
    let (name, user) = (&service.name, quoted(&service.user));
    let run = |words: &[&str]| format!("\tsu -m {user} -c {}\n", command(service, words));
    let text = format!(
        "#!/bin/ksh\n\
         \n\
         daemon={program}\n\
         \n\
         . /etc/rc.d/rc.subr\n\
         \n\
         rc_start() {{\n{start}}}\n\
         \n\
         rc_stop() {{\n{stop}}}\n\
         \n\
         rc_reload() {{\n{reload}}}\n\
         \n\
         rc_check() {{\n{check}}}\n\
         \n\
         rc_cmd $1\n",
        program = quoted(&service.program),
        start = run(&service.words()),
        stop = run(&["kill"]),
        reload = run(&["reload", "all"]),
        check = run(&["report"]).trim_end().to_owned() + " | grep -q '^daemon .*pid'\n",
    );
    Plan {
        path: Path::new("/etc/rc.d").join(name),
        mode: 0o755,
        text,
        enable: vec![format!("rcctl enable {name}"), format!("rcctl start {name}")],
        disable: vec![format!("rcctl stop {name}"), format!("rcctl disable {name}")],
        forget: Vec::new(),
    }
}
