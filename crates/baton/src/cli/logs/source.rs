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

    /// Whether a slot's lines are wanted.
    pub(crate) fn takes(&self, view: &InstanceView) -> bool {
        match self {
            Filter::All => true,
            Filter::Words(words) => {
                words.iter().any(|word| *word == view.name || *word == view.namespace || *word == view.id.to_string())
            }
            Filter::Pattern(pattern) => pattern.is_match(&view.name),
            Filter::Ids(ids) => ids.contains(&view.id),
            Filter::Daemon => false,
        }
    }
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
