//! The pages for those who begin, who come from PM2 or who are in trouble: what they show is run in its order, from a
//! home and a folder of its own, and compared with what the page says.
//!
//! In a page, a block of code with a file's name behind its language is that file. A block `console` holds commands
//! behind `$ ` and what they print; `…` stands for any rest of a line, or alone for any lines. Paths, ports, numbers of
//! processes, times and widths of columns do not count. A block `sh` is not run; that its commands exist is looked at
//! beside the command line. `BATON_WRITE_DOCS=1` writes what the commands print into the pages; `<!-- until: TEXT -->` in
//! front of a block names what to wait for then.

use crate::harness::{Baton, Watch};
use crate::programs::node;
use regex_lite::Regex;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a command that only looks is run again, each time after something has changed. No promise: only an end for
/// a page that never comes true.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ports that pages use.
const PORTS: [&str; 2] = ["3000", "3001"];

#[test]
fn the_quick_start_is_as_it_says() {
    Page::read("quick-start.md").run(Homes::One);
}

#[test]
fn what_troubleshooting_shows_is_what_one_sees() {
    Page::read("troubleshooting.md").run(Homes::ForEachSection);
}

#[test]
fn the_way_from_pm2_is_as_it_says() {
    Page::read("from-pm2.md").run(Homes::One);
}

#[test]
fn the_process_file_of_the_reference_card_is_one() {
    let reader = Reader::new();
    let steps = Page::read("quick-reference.md").steps();
    let files = steps.into_iter().filter_map(|step| match step {
        Step::File(name, content) => Some((name, content)),
        _ => None,
    });
    for (name, content) in files {
        reader.baton.file(".env", "");
        reader.baton.file("server.js", "");
        std::fs::create_dir(reader.baton.dir().join("src")).expect("folder");
        reader.save(&name, &content.replace("/srv/api", "."));
        let run = reader.baton.run(["render", &name]).ok().stdout_has("max_memory_restart");
        assert_eq!(run.stderr, "", "{run}");
    }
}

#[test]
fn a_page_that_says_something_else_is_found() {
    let same = |page: &str, seen: &str| matches(&lines(page), &lines(seen));
    assert!(same("│ api  │ 4711 │ online │ 3s │", "│ api │ 21234 │ online │ 20s │"));
    assert!(same("[PM2] Starting …\n…\nready", "[PM2] Starting /srv/x in fork_mode\n1\n2\nready"));
    assert!(!same("│ api │ 4711 │ online │", "│ api │ 4711 │ errored │"));
    assert!(!same("ready\n", "ready\nand more"));
    assert!(!same("exited with code 3", "exited with code 4"));
}

/// How many homes a page needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Homes {
    /// Its commands go on from each other.
    One,
    /// Each section begins anew, with the files from before the first one.
    ForEachSection,
}

/// A page, cut into its lines.
struct Page {
    path: PathBuf,
    text: String,
}

/// One step of a page.
#[derive(Debug)]
enum Step {
    /// `## `.
    Section,
    /// A file and its content.
    File(String, String),
    /// A command, the lines that it prints, and where these stand in the page.
    Run { command: String, says: Vec<String>, at: usize, until: Option<String> },
}

impl Page {
    fn read(name: &str) -> Page {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page { path, text }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut until = None;
        let mut lines = self.text.lines().enumerate().peekable();
        while let Some((_, line)) = lines.next() {
            if line.starts_with("## ") {
                steps.push(Step::Section);
            }
            if let Some(text) = line.strip_prefix("<!-- until: ").and_then(|rest| rest.strip_suffix(" -->")) {
                until = Some(text.to_owned());
            }
            let Some(language) = line.strip_prefix("```") else { continue };
            let mut block = Vec::new();
            for (at, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                block.push((at, line));
            }
            if let Some((_, file)) = language.split_once(' ') {
                let content: String = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                steps.push(Step::File(file.to_owned(), content));
            }
            if language == "console" {
                for (at, line) in block {
                    match (line.strip_prefix("$ "), steps.last_mut()) {
                        (Some(command), _) => {
                            let command = command.to_owned();
                            steps.push(Step::Run { command, says: Vec::new(), at: at + 1, until: None });
                        }
                        (None, Some(Step::Run { says, .. })) => says.push(line.to_owned()),
                        (None, _) => panic!("{}:{}: no command", self.path.display(), at + 1),
                    }
                }
                if let Some(Step::Run { until: of_last, .. }) = steps.last_mut() {
                    *of_last = until.take();
                }
            }
        }
        steps
    }

    /// Goes through it.
    fn run(&self, homes: Homes) {
        if !node() {
            return;
        }
        let writes = std::env::var_os("BATON_WRITE_DOCS").is_some();
        let mut seen = Vec::new();
        let mut reader = Reader::new();
        let mut common: Vec<(String, String)> = Vec::new();
        let mut sections = 0;
        for step in self.steps() {
            match step {
                Step::Section if homes == Homes::ForEachSection => {
                    // What every first command says of the daemon it starts is no part of an answer.
                    reader = Reader::new();
                    reader.baton.run(["ping"]).ok();
                    common.iter().for_each(|(name, content)| reader.save(name, content));
                    sections += 1;
                }
                Step::Section => {}
                Step::File(name, content) => {
                    reader.save(&name, &content);
                    if sections == 0 {
                        common.push((name, content));
                    }
                }
                Step::Run { command, says, at, until } if writes => {
                    let wished = |seen: &str| until.as_ref().is_none_or(|text| seen.contains(text));
                    let said = reader.look(&command, until.is_some(), wished);
                    // What is true already stays as it is, with what it leaves out.
                    if !matches(&says, &lines(&said)) {
                        seen.push((at, says.len(), said));
                    }
                }
                Step::Run { command, says, .. } => {
                    let only_looks = looks(&command);
                    let said = reader.look(&command, only_looks, |seen| matches(&says, &lines(seen)));
                    assert!(
                        matches(&says, &lines(&said)),
                        "{}: `{command}` is said to print\n{}\nand prints\n{said}",
                        self.path.display(),
                        says.join("\n"),
                    );
                }
            }
        }
        if writes {
            self.write(&seen);
        }
    }

    /// The page with what was seen.
    fn write(&self, seen: &[(usize, usize, String)]) {
        let mut text: Vec<String> = self.text.lines().map(str::to_owned).collect();
        for (at, count, said) in seen.iter().rev() {
            text.splice(*at..at + count, lines(said));
        }
        std::fs::write(&self.path, text.join("\n") + "\n").expect("page");
    }
}

/// Whether a command changes nothing, so that it may be run until it says what it should.
fn looks(command: &str) -> bool {
    const VERBS: [&str; 8] = ["ls", "why", "logs", "errors", "describe", "env", "plan", "jlist"];
    let mut words = command.split_whitespace().skip_while(|word| word.contains('='));
    match words.next() {
        Some("curl") => !command.contains("/crash"),
        Some("baton" | "pm2") => {
            words.next().is_some_and(|verb| VERBS.contains(&verb)) && !command.contains("--take-over")
        }
        _ => false,
    }
}

/// Who reads a page: a home, a folder, and ports that nobody has.
struct Reader {
    baton: Baton,
    ports: Vec<String>,
}

impl Reader {
    fn new() -> Reader {
        let baton = Baton::new();
        // What a page calls ~/.baton is the home of the test.
        std::os::unix::fs::symlink(baton.home(), baton.home().join(".baton")).expect("link");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_baton"), baton.home().join("pm2")).expect("link");
        Reader { baton, ports: free_ports(PORTS.len()) }
    }

    fn save(&self, name: &str, content: &str) {
        self.baton.file(name, self.mine(content));
    }

    /// What the page says, with the ports of this test.
    fn mine(&self, text: &str) -> String {
        PORTS.iter().zip(&self.ports).fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    /// What this test sees, with the names of the page.
    fn theirs(&self, text: &str) -> String {
        let text =
            PORTS.iter().zip(&self.ports).fold(text.to_owned(), |text, (theirs, ours)| text.replace(ours, theirs));
        let home = self.baton.home().to_string_lossy().into_owned();
        let folder = self.baton.dir().to_string_lossy().into_owned();
        let text = text
            .replace(&format!("{home}/.pm2"), "/home/you/.pm2")
            .replace(&format!("{home}/.baton"), "/home/you/.baton");
        let text = text.replace(&home, "/home/you/.baton").replace(&folder, "/srv/shop");
        let user = Regex::new(r"│ \S+ +│ (disabled|enabled) ").expect("a pattern");
        user.replace_all(&text, "│ you      │ $1 ").into_owned()
    }

    /// Runs a command; one that may be repeated, until it says what it should.
    fn look(&self, command: &str, may_repeat: bool, wished: impl Fn(&str) -> bool) -> String {
        let watch = Watch::on(self.baton.home());
        for folder in ["logs", "run"].map(|name| self.baton.home().join(name)) {
            if folder.exists() {
                watch.also(&folder);
            }
        }
        let mut said = self.theirs(&self.run(&self.mine(command)));
        let end = Instant::now() + PATIENCE;
        while may_repeat && !wished(&said) && Instant::now() < end {
            watch.wait(&format!("`{command}` to print something else than\n{said}"));
            said = self.theirs(&self.run(&self.mine(command)));
        }
        said
    }

    #[expect(clippy::disallowed_methods, reason = "commands of a page are run by a shell, as its reader does")]
    fn run(&self, command: &str) -> String {
        let from = self.baton.command(["--version"]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1; {command}")]).current_dir(self.baton.dir()).stdin(Stdio::null());
        shell.env_clear().envs(from.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = std::env::var("PATH").expect("PATH");
        shell.env("PATH", format!("{}:{path}", self.baton.home().display())).env("LANG", "C.UTF-8");
        String::from_utf8_lossy(&shell.output().expect("a shell").stdout).into_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.baton.home().join(".pm2").exists() {
            self.run("pm2 kill");
        }
    }
}

/// Below those that the kernel gives to others meanwhile.
fn free_ports(count: usize) -> Vec<String> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let next = || 20_000 + (std::process::id() * 37 + GIVEN.fetch_add(1, Ordering::Relaxed)) % 10_000;
    let candidates = std::iter::repeat_with(next).filter_map(|port| u16::try_from(port).ok());
    let free = candidates.filter(|port| TcpListener::bind(("::", *port)).is_ok());
    free.take(count).map(|port| port.to_string()).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Whether what a page shows is what was seen.
fn matches(page: &[String], seen: &[String]) -> bool {
    match (page, seen) {
        ([any, page @ ..], _) if any == "…" => (0..=seen.len()).any(|skipped| matches(page, &seen[skipped..])),
        ([expected, page @ ..], [line, seen @ ..]) => same(expected, line) && matches(page, seen),
        (rest, seen) => rest.is_empty() && seen.is_empty(),
    }
}

fn same(expected: &str, seen: &str) -> bool {
    let (expected, seen) = (plain(expected), plain(seen));
    match expected.strip_suffix('…') {
        Some(begin) => seen.starts_with(begin.trim_end()),
        None => expected == seen,
    }
}

/// A line without what differs from one time to the next.
fn plain(line: &str) -> String {
    let shapes = [
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "DATE"),
        (r"[0-9]{2}:[0-9]{2}:[0-9]{2}", "TIME"),
        (r"\b[0-9]+(\.[0-9]+)?%", "PART"),
        (r"\b[0-9]+(\.[0-9]+)? ?([kmg]b|b|[KMG]i?B?)\b", "SIZE"),
        (r"\b([0-9]+h)?([0-9]+m)?[0-9]+(\.[0-9]+)?(ms|s|m|h|D)\b", "SPAN"),
        (r"\b(process|pid) [0-9]+\b", "${1} NUMBER"),
        (r"│ [0-9]{3,}\b", "│ NUMBER"),
        (r"─+", "─"),
        (r"[ \t]+", " "),
    ];
    shapes.iter().fold(line.to_owned(), |line, (shape, word)| {
        let shape = Regex::new(shape).expect("a pattern");
        shape.replace_all(&line, *word).into_owned()
    })
}
