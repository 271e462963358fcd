//! The command lines that are run on a host. What is ours is for `sh`, whatever shell the user there has; what is the
//! user's is for his own.

use baton_config::words::quote;

/// A folder on a host as a word of a command line; `~/` is the home there.
pub(super) fn place(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("\"$HOME\"/{}", quote(rest)),
        None => quote(path),
    }
}

/// For `sh`, in the words of any shell.
fn sh(script: &str) -> String {
    format!("sh -c {}", quote(script))
}

/// The folders of a site.
pub(super) fn folders(root: &str) -> String {
    sh(&format!("mkdir -p {root}/shared/logs {root}/shared/pids {root}/source"))
}

/// The repository, for the first time. A commit is no branch that could be cloned.
pub(super) fn clone(root: &str, repo: &str, reference: &str, fast: bool) -> String {
    let branch = reference.strip_prefix("origin/").unwrap_or(reference);
    let is_commit = branch.len() >= 7 && branch.bytes().all(|byte| byte.is_ascii_hexdigit());
    let branch = if is_commit { String::new() } else { format!(" --branch {}", quote(branch)) };
    let depth = if fast { " --depth=5" } else { "" };
    sh(&format!(
        "if [ -e {root}/source/.git ]; then echo {root}/source is a repository already: setup was run before >&2; \
         exit 1; fi; git clone{depth}{branch} -- {} {root}/source",
        quote(repo)
    ))
}

/// `current` is what is in `source`.
pub(super) fn link(root: &str) -> String {
    sh(&format!("ln -sfn {root}/source {root}/current"))
}

/// What the repository has.
pub(super) fn fetch(root: &str, fast: bool) -> String {
    let depth = if fast { "--depth=5 " } else { "" };
    sh(&format!("cd {root}/source && git fetch {depth}--all --tags"))
}

/// Makes the files those of a commit. The name of a branch is the one of the repository, not what it was when it was cloned.
pub(super) fn reset(root: &str, reference: &str) -> String {
    sh(&format!(
        "cd {root}/source && ref={} && if git rev-parse -q --verify \"refs/remotes/origin/$ref^{{commit}}\" >/dev/null; \
         then ref=\"origin/$ref\"; fi && git reset --hard \"$ref\"",
        quote(reference)
    ))
}

/// Remembers what was deployed.
pub(super) fn remember(root: &str) -> String {
    sh(&format!("cd {root}/source && git rev-parse HEAD >> {root}/.deploys"))
}

/// Prints the commit that was deployed so many deploys before the last one.
pub(super) fn before(root: &str, count: u32) -> String {
    let line = u64::from(count) + 1;
    sh(&format!(
        "if [ \"$(cat {root}/.deploys 2>/dev/null | wc -l)\" -lt {line} ]; then echo there are fewer deploys than that, \
         as list shows >&2; exit 1; fi; tail -n {line} {root}/.deploys | head -n 1 | cut -d ' ' -f 1"
    ))
}

/// Prints what is deployed.
pub(super) fn current(root: &str) -> String {
    sh(&format!("cd {root}/source && git rev-parse --short HEAD"))
}

/// Prints all deploys, the last first.
pub(super) fn list(root: &str) -> String {
    sh(&format!(
        "cat {root}/.deploys | awk '{{ all[NR] = $0 }} END {{ for (at = NR; at > 0; at--) printf \"%d\\t%s\\n\", NR - at, all[at] }}'"
    ))
}

/// A command of the user's in the folder that is deployed, with variables.
pub(super) fn hook(root: &str, env: &[(String, String)], command: &str) -> String {
    let mut script = format!("cd {root}/current || exit 1\nexport SHARED={root}/shared\n");
    for (name, value) in env {
        script.push_str(&format!("export {name}={}\n", quote(value)));
    }
    script + command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_file_stay_words() {
        let root = place("/srv/my app");
        assert_eq!(
            folders(&root),
            r"sh -c 'mkdir -p '\''/srv/my app'\''/shared/logs '\''/srv/my app'\''/shared/pids '\''/srv/my app'\''/source'"
        );
        assert_eq!(place("~/a b"), r#""$HOME"/'a b'"#);
        assert!(
            clone("/p", "git@x:y.git; rm -rf /", "origin/a b", true)
                .contains(r"--depth=5 --branch '\''a b'\'' -- '\''git@x:y.git; rm")
        );
        assert!(!clone("/p", "r", "0123abcd", false).contains("--branch"));
        let env = [("A".to_owned(), "it's".to_owned())];
        assert_eq!(
            hook("/p", &env, "a; b"),
            "cd /p/current || exit 1\nexport SHARED=/p/shared\nexport A='it'\\''s'\na; b"
        );
    }
}
