//! Sources that could not be read when they were last looked at, for everybody who looks at the list.

use super::server::ClientId;
use std::collections::BTreeMap;

/// What is wrong with each source, and who says so for as long as it is connected.
#[derive(Debug, Default)]
pub(super) struct Unread {
    errors: BTreeMap<String, (Option<ClientId>, String)>,
}

impl Unread {
    /// Takes in how reading a source went; what `by` says ends with it.
    pub(super) fn note(&mut self, source: String, error: Option<String>, by: Option<ClientId>) {
        // Somebody else who has looked does not follow it instead.
        let by = by.or_else(|| self.errors.get(&source).and_then(|(by, _)| *by));
        match error {
            Some(error) => drop(self.errors.insert(source, (by, error))),
            None => drop(self.errors.remove(&source)),
        }
    }

    /// A connection is gone: whoever followed a source over it does so no more.
    pub(super) fn leave(&mut self, client: ClientId) {
        self.errors.retain(|_, (by, _)| *by != Some(client));
    }

    /// What is to be told: of sources that are followed, and of those that have apps in the list.
    pub(super) fn told(&self, has_apps: impl Fn(&str) -> bool) -> Vec<String> {
        let counts = |source: &str, by: &Option<ClientId>| by.is_some() || has_apps(source);
        let told = self.errors.iter().filter(|(source, (by, _))| counts(source, by));
        told.map(|(source, (_, error))| format!("{source} {error}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(unread: &mut Unread, source: &str, error: Option<&str>, by: Option<ClientId>) {
        unread.note(source.into(), error.map(Into::into), by);
    }

    #[test]
    fn an_error_is_told_until_the_source_is_read_or_who_follows_it_is_gone() {
        let mut unread = Unread::default();
        note(&mut unread, "/a", Some("broken"), Some(1));
        // It has connected anew; the old connection is gone only then.
        note(&mut unread, "/a", Some("broken"), Some(2));
        note(&mut unread, "/a", Some("broken"), None);
        unread.leave(1);
        assert_eq!(unread.told(|_| false).len(), 1);
        unread.leave(2);
        assert!(unread.told(|_| true).is_empty());
        note(&mut unread, "/a", Some("broken"), Some(3));
        note(&mut unread, "/a", None, None);
        assert!(unread.told(|_| true).is_empty());
    }

    #[test]
    fn what_a_single_pass_found_is_told_while_the_source_has_apps() {
        let mut unread = Unread::default();
        note(&mut unread, "/a", Some("broken"), None);
        unread.leave(1);
        assert_eq!(unread.told(|source| source == "/a").len(), 1);
        assert!(unread.told(|_| false).is_empty());
    }
}
