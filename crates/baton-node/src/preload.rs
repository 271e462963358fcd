//! The module that is loaded before a program of Node: its text, and for whom it is.

/// What Node is given to load (CommonJS). It does nothing below Node 18, in worker threads, and where there is no channel.
pub const SOURCE: &str = include_str!("preload.cjs");

/// Options of Node that forbid a program to read files elsewhere: with them it could not be loaded, and the program would
/// not start.
const FORBIDDING: &[&str] = &["--permission", "--experimental-permission", "--experimental-policy"];

/// Whether a program that gets these arguments for Node, and this `NODE_OPTIONS`, can load it.
pub fn is_allowed(node_args: &[String], node_options: &str) -> bool {
    let forbids = |word: &str| {
        let name = word.split('=').next().unwrap_or_default();
        FORBIDDING.contains(&name)
    };
    !node_args.iter().flat_map(|words| words.split_whitespace()).chain(node_options.split_whitespace()).any(forbids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_may_not_read_our_file_goes_without_it() {
        assert!(is_allowed(&["--inspect".into()], "--no-warnings --require \"x\""));
        assert!(!is_allowed(&["--permission".into()], ""));
        assert!(!is_allowed(&["--allow-fs-read=/a --experimental-permission".into()], ""));
        assert!(!is_allowed(&[], "--experimental-policy=p.json"));
    }
}
