//! Which files are meant, and whose lines they hold.

use baton_core::units::InstanceId;
use baton_core::world::InstanceView;
use regex_lite::Regex;
use std::path::PathBuf;

/// One of an app's two streams, or the daemon's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
    /// What the daemon says.
    Daemon,
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) stream: Stream,
    /// Whose lines they are; of several instances that share the file, the first.
    pub(crate) id: InstanceId,
    /// Name of the app.
    pub(crate) name: String,
}

impl Source {
    /// The daemon's own log.
    pub(crate) fn daemon(path: PathBuf) -> Source {
        Source { path, stream: Stream::Daemon, id: InstanceId(0), name: "PM2".into() }
    }

    /// What stands in front of its lines.
    pub(crate) fn label(&self) -> String {
        match self.stream {
            Stream::Daemon => self.name.clone(),
            Stream::Out | Stream::Error => format!("{}|{}", self.id, self.name),
        }
    }
}

/// Which streams are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Both.
    Both,
    /// Standard output only.
    Out,
    /// Standard error only.
    Error,
}

/// Which slots are wanted.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// Every one.
    All,
    /// Those whose name, number or unit is one of these words.
    Words(Vec<String>),
    /// Those whose name matches.
    Pattern(Regex),
    /// These.
    Ids(Vec<InstanceId>),
    /// None: only the daemon's own log.
    Daemon,
}

impl Filter {
    /// The filter meant by the words of a command line.
    ///
    /// # Errors
    /// When a word between slashes is no regular expression.
    pub(crate) fn parse(words: &[String]) -> Result<Filter, regex_lite::Error> {
        match words {
            [] => Ok(Filter::All),
            words if words.iter().any(|word| word == "all") => Ok(Filter::All),
            [one] if one == "PM2" => Ok(Filter::Daemon),
            [one] if one.len() > 2 && one.starts_with('/') && one.ends_with('/') => {
                Regex::new(&one.replace('/', "")).map(Filter::Pattern)
            }
            words => Ok(Filter::Words(words.to_vec())),
        }
    }

    /// The words that name none of these slots.
    pub(crate) fn strangers(&self, views: &[InstanceView]) -> impl Iterator<Item = &str> {
        let words = if let Filter::Words(words) = self { words.as_slice() } else { &[] };
        words.iter().map(String::as_str).filter(|word| !views.iter().any(|view| is_called(view, word)))
    }

    /// Whether a slot's lines are wanted.
    pub(crate) fn takes(&self, view: &InstanceView) -> bool {
        match self {
            Filter::All => true,
            Filter::Words(words) => words.iter().any(|word| is_called(view, word)),
            Filter::Pattern(pattern) => pattern.is_match(&view.name),
            Filter::Ids(ids) => ids.contains(&view.id),
            Filter::Daemon => false,
        }
    }
}

/// Whether a word is a slot's name, unit or number.
fn is_called(view: &InstanceView, word: &str) -> bool {
    word == view.name || word == view.namespace || word == view.id.to_string()
}

/// The files of one slot. An app that writes only a file for both streams has that one.
pub(crate) fn of(view: &InstanceView, streams: Streams) -> Vec<Source> {
    let source = |path: &String, stream| Source { path: path.into(), stream, id: view.id, name: view.name.clone() };
    let files = &view.files;
    let out = files.out.as_ref().filter(|_| streams != Streams::Error).map(|path| source(path, Stream::Out));
    let error = files.error.as_ref().filter(|_| streams != Streams::Out).map(|path| source(path, Stream::Error));
    let both = files.combined.as_ref().filter(|_| files.out.is_none() && files.error.is_none());
    out.into_iter().chain(error).chain(both.map(|path| source(path, Stream::Out))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::AppSpec;
    use baton_core::units::{Instant, Now, WallTime};
    use baton_core::world::{Detail, Directories, Instance};
    use std::sync::Arc;

    fn view(id: u32, spec: AppSpec) -> InstanceView {
        let directories = Directories { logs: "/h/logs".into(), pids: "/h/pids".into() };
        let now = Now { instant: Instant(0), wall: WallTime(0) };
        Instance::new(InstanceId(id), 0, Arc::new(spec), WallTime(0), &directories).view(now, Detail::Row)
    }

    fn named(id: u32, name: &str, unit: &str) -> InstanceView {
        view(id, AppSpec { name: name.into(), namespace: unit.into(), ..AppSpec::default() })
    }

    fn taken(words: &[&str]) -> Vec<u32> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let filter = Filter::parse(&words).unwrap();
        let views = [named(0, "web", "front"), named(1, "api-1", "back"), named(2, "api-2", "back")];
        views.iter().filter(|view| filter.takes(view)).map(|view| view.id.0).collect()
    }

    #[test]
    fn names_numbers_units_and_patterns_choose_slots() {
        assert_eq!(taken(&[]), [0, 1, 2]);
        assert_eq!(taken(&["web", "all"]), [0, 1, 2]);
        assert_eq!(taken(&["web"]), [0]);
        assert_eq!(taken(&["2"]), [2]);
        assert_eq!(taken(&["back"]), [1, 2]);
        assert_eq!(taken(&["/^api/"]), [1, 2]);
        assert_eq!(taken(&["web", "2"]), [0, 2]);
        assert_eq!(taken(&["PM2"]), [0; 0]);
        assert_eq!(taken(&["nobody"]), [0; 0]);
        assert!(Filter::parse(&["/(/".into()]).is_err());
    }

    #[test]
    fn each_stream_has_its_file_unless_only_both_together_are_written() {
        let paths = |view: &InstanceView, streams| -> Vec<String> {
            of(view, streams).into_iter().map(|source| source.path.display().to_string()).collect()
        };
        let web = named(0, "web", "default");
        assert_eq!(paths(&web, Streams::Both), ["/h/logs/web-out.log", "/h/logs/web-error.log"]);
        assert_eq!(paths(&web, Streams::Out), ["/h/logs/web-out.log"]);
        assert_eq!(paths(&web, Streams::Error), ["/h/logs/web-error.log"]);
        let nowhere = Some("/dev/null".to_owned());
        let together = view(
            1,
            AppSpec {
                name: "one".into(),
                out_file: nowhere.clone(),
                error_file: nowhere,
                log_file: Some("/h/one.log".into()),
                ..AppSpec::default()
            },
        );
        assert_eq!(paths(&together, Streams::Both), ["/h/one.log"]);
    }
}
