//! The name of the user who runs this process.

use baton_core::spec::Environment;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// The caller's user name: from the user database, else from `USER`.
pub fn name(environment: &Environment) -> String {
    // A process file may hold hundreds of apps, all of the same caller.
    static KNOWN: OnceLock<Option<String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let uid = std::fs::metadata("/proc/self").ok()?.uid();
        find(&std::fs::read_to_string("/etc/passwd").ok()?, uid)
    });
    known.clone().or_else(|| environment.get("USER").cloned()).unwrap_or_default()
}

fn find(database: &str, uid: u32) -> Option<String> {
    database.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_user_database_names_a_number() {
        let database = "root:x:0:0:root:/root:/bin/sh\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(find(database, 1000).as_deref(), Some("me"));
        assert_eq!(find(database, 7), None);
    }
}
