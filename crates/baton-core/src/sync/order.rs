//! The order in which changed apps have their turn: what others need comes before them, else as in the files.

use crate::deps::Graph;
use crate::spec::AppSpec;

/// The names in that order. `all` are the definitions as they are to be; a name that is not among them needs nothing.
pub(crate) fn by_dependency<'a>(all: impl IntoIterator<Item = &'a AppSpec>, names: Vec<String>) -> Vec<String> {
    let graph = Graph::of(all);
    // Whoever needs an app needs all that it needs, and the app itself: so it needs more.
    let mut ranked: Vec<(usize, String)> =
        names.into_iter().map(|name| (graph.closure(graph.needs(&name)).len(), name)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Condition, Dependency};

    fn app(name: &str, needs: &[&str]) -> AppSpec {
        let on =
            |on: &&str| Dependency { on: (*on).into(), condition: Condition::Ready, timeout: None, external: None };
        let depends_on = needs.iter().map(on).collect();
        AppSpec { name: name.into(), depends_on, ..AppSpec::default() }
    }

    #[test]
    fn what_is_needed_comes_first_and_else_the_files_count() {
        let all = [app("web", &["api"]), app("other", &[]), app("api", &["db"]), app("db", &[])];
        let names = ["web", "other", "api", "db"].map(str::to_owned).to_vec();
        assert_eq!(by_dependency(&all, names), ["other", "db", "api", "web"]);
    }
}
