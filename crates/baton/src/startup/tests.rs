//! Each init system's file, as it was last looked at.

use super::*;

fn service(platform: Platform) -> Service {
    Service {
        name: platform.service_name("baton", "deploy"),
        user: "deploy".into(),
        user_home: "/home/deploy".into(),
        program: "/usr/local/bin/baton".into(),
        home: ("BATON_HOME", "/home/deploy/.baton".into()),
        path: "/usr/local/bin:/usr/bin:/bin".into(),
        file: None,
        wait_ip: false,
    }
}

const ALL: &[Platform] = &[
    Platform::Systemd,
    Platform::Upstart,
    Platform::Systemv,
    Platform::Openrc,
    Platform::Launchd,
    Platform::Rcd,
    Platform::RcdOpenbsd,
];

/// The plan as text.
fn shown(plan: &Plan) -> String {
    let commands = |title: &str, commands: &[String]| {
        commands.iter().map(|command| format!("{title}: {command}\n")).collect::<String>()
    };
    format!(
        "{}\n---- {:o} {}\n{}{}{}",
        plan.text.trim_end(),
        plan.mode,
        plan.path.display(),
        commands("enable", &plan.enable),
        commands("disable", &plan.disable),
        commands("forget", &plan.forget)
    )
}

#[test]
fn what_each_init_system_is_given_is_as_it_was_agreed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/startup/golden");
    for platform in ALL {
        let path = folder.join(platform.name());
        let shown = shown(&platform.plan(&service(*platform)));
        if std::env::var_os("BATON_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, &shown).unwrap();
        }
        let agreed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(shown, agreed, "{}; look at it and write it with BATON_WRITE_GOLDEN=1", path.display());
    }
}

#[test]
fn words_with_blanks_quotes_and_signs_stay_what_they_are() {
    let odd = Service {
        program: "/opt/my tools/baton".into(),
        file: Some("/srv/50% $HOME/it's.config.js".into()),
        ..service(Platform::Systemd)
    };
    let unit = Platform::Systemd.plan(&odd).text;
    assert!(
        unit.contains("ExecStart=\"/opt/my tools/baton\" start \"/srv/50%% $$HOME/it's.config.js\" --as-service\n"),
        "{unit}"
    );
    let script = Platform::Upstart.plan(&odd).text;
    let line = script.lines().find_map(|line| line.strip_prefix("start) ")?.strip_suffix(" ;;")).unwrap();
    assert_eq!(shlex::split(line).unwrap(), ["baton", "start", "/srv/50% $HOME/it's.config.js"]);
}

#[test]
fn every_name_means_its_init_system_and_the_first_sign_counts() {
    for platform in ALL {
        assert_eq!(Platform::named(platform.name()), Some(*platform));
    }
    assert_eq!(Platform::named("ubuntu"), Some(Platform::Systemd));
    assert_eq!(Platform::named("sunos"), None);
    assert_eq!(Platform::found(|program| matches!(program, "update-rc.d" | "systemctl")), Some(Platform::Systemd));
    assert_eq!(Platform::found(|program| program == "rc-update"), Some(Platform::Openrc));
    assert_eq!(Platform::found(|_| false), None);
}
