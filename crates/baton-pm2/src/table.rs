//! The tables of processes and of units as `ls` prints them.
//!
//! Columns, widths, cells and the three layouts (full, condensed and mini, by the width of the terminal) are PM2's.
//! The line of host metrics under it is left out. Rows in groups, and the table of units, are ours.

use crate::style::{Colour, Style, fit, width};
use baton_core::spec::ExecMode;
use baton_core::units::{Bytes, Millis};
use baton_core::world::{InstanceView, Status, UnitView, units};
use std::cmp::Ordering;

/// The word for what is online and fails its health.
pub(crate) const DEGRADED: &str = "degraded";

/// Width that PM2 assumes when it can't know the terminal's.
pub const UNKNOWN_WIDTH: usize = 300;

/// How to draw.
#[derive(Clone, Copy)]
pub struct TableOptions<'a> {
    /// Columns of the terminal.
    pub width: usize,
    /// With or without colours.
    pub colour: Colour,
    /// The order of rows.
    pub sort: Sort,
    /// Whether rows stand together by unit.
    pub grouping: Grouping,
    /// Version of the package that a script belongs to.
    pub version: &'a dyn Fn(&str) -> Option<String>,
}

/// How rows stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// All in one, as PM2 prints them.
    #[default]
    None,
    /// The rows of each unit under a line with its name, when there is more than one unit.
    Units,
}

/// An order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Largest first.
    pub descending: bool,
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Name of the app.
    #[default]
    Name,
    /// Name of the unit.
    Namespace,
    /// Process id.
    Pid,
    /// Number of the slot.
    Id,
    /// Processor share.
    Cpu,
    /// Memory.
    Memory,
    /// Time since the start.
    Uptime,
    /// State.
    Status,
    /// Restarts.
    Restarts,
}

impl Sort {
    /// The order meant by `field` or `field:desc`.
    pub fn parse(text: &str) -> Option<Sort> {
        let (field, direction) = text.split_once(':').unwrap_or((text, "asc"));
        let by = match field {
            "name" => SortBy::Name,
            "namespace" => SortBy::Namespace,
            "pid" => SortBy::Pid,
            "id" | "pm_id" => SortBy::Id,
            "cpu" => SortBy::Cpu,
            "memory" | "mem" => SortBy::Memory,
            "uptime" => SortBy::Uptime,
            "status" => SortBy::Status,
            "restarts" => SortBy::Restarts,
            _ => return None,
        };
        let descending = match direction {
            "asc" => false,
            "desc" => true,
            _ => return None,
        };
        Some(Sort { by, descending })
    }

    fn compare(self, a: &InstanceView, b: &InstanceView) -> Ordering {
        let order = match self.by {
            SortBy::Name => a.name.cmp(&b.name),
            SortBy::Namespace => a.namespace.cmp(&b.namespace),
            SortBy::Pid => a.pid.cmp(&b.pid),
            SortBy::Id => a.id.cmp(&b.id),
            SortBy::Cpu => a.cpu.unwrap_or(0.0).total_cmp(&b.cpu.unwrap_or(0.0)),
            SortBy::Memory => a.memory.cmp(&b.memory),
            SortBy::Uptime => a.uptime.cmp(&b.uptime),
            SortBy::Status => a.status.as_str().cmp(b.status.as_str()),
            SortBy::Restarts => a.restarts.cmp(&b.restarts),
        };
        let order = if self.descending { order.reverse() } else { order };
        order.then(a.id.cmp(&b.id))
    }

    /// The rows in this order; equal ones by their numbers.
    pub fn apply(self, views: &[InstanceView]) -> Vec<&InstanceView> {
        let mut rows: Vec<&InstanceView> = views.iter().collect();
        rows.sort_by(|a, b| self.compare(a, b));
        rows
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Name,
    Namespace,
    Version,
    Mode,
    Pid,
    Uptime,
    Restarts,
    Status,
    Cpu,
    Memory,
    User,
    Watching,
}

use Column::{Cpu, Id, Memory, Mode, Name, Namespace, Pid, Restarts, Uptime, User, Version, Watching};

/// A column, its head, and its width with one blank on each side.
type Layout = Vec<(Column, &'static str, usize)>;

/// The first of the three layouts that fits, or the smallest.
fn layout(views: &[InstanceView], columns: usize) -> Layout {
    let longest = views.iter().map(|view| width(&view.name) + 5).max().unwrap_or(11);
    let digits = views.iter().map(|view| view.id.to_string().len() + 2).max().unwrap_or(0);
    let (id, name) = (digits.max(4), longest.min(40));
    let status = Column::Status;
    let full = vec![
        (Id, "id", id),
        (Name, "name", name),
        (Namespace, "namespace", 13),
        (Version, "version", 9),
        (Mode, "mode", 9),
        (Pid, "pid", 10),
        (Uptime, "uptime", 8),
        (Restarts, "↺", 6),
        (status, "status", 11),
        (Cpu, "cpu", 10),
        (Memory, "mem", 10),
        (User, "user", 10),
        (Watching, "watching", 10),
    ];
    let condensed = vec![
        (Id, "id", id),
        (Name, "name", name.min(20)),
        (Mode, "mode", 10),
        (Restarts, "↺", 6),
        (status, "status", 11),
        (Cpu, "cpu", 10),
        (Memory, "memory", 10),
    ];
    let mini = vec![
        (Id, "id", id),
        (Name, "name", name.min(16)),
        (status, "status", 11),
        (Cpu, "cpu", 8),
        (Memory, "mem", 10),
    ];
    let fits = |layout: &Layout| layout.iter().map(|(_, _, width)| width + 1).sum::<usize>() < columns;
    [full, condensed].into_iter().find(fits).unwrap_or(mini)
}

/// The table, with a newline at its end.
pub fn list(views: &[InstanceView], options: &TableOptions<'_>) -> String {
    let layout = layout(views, options.width);
    let widths: Vec<usize> = layout.iter().map(|(_, _, width)| *width).collect();
    let mut grid = Grid::new(options.colour, &widths);
    let heads = layout.iter().map(|(_, head, _)| *head);
    let cells = |view| layout.iter().map(move |(column, _, _)| cell(*column, view, options));
    let rows = options.sort.apply(views);
    let groups = units(views);
    if options.grouping == Grouping::None || groups.len() < 2 {
        grid.head(heads);
        rows.into_iter().for_each(|view| grid.row(cells(view)));
        return grid.finish();
    }
    grid.row(heads.map(head));
    for unit in &groups {
        let well = unit.healthy && unit.status == Status::Online;
        let style = if unit.status == Status::Online { Style::Yellow } else { status_style(unit.status) };
        grid.titled_rule(&title(unit), (!well).then_some(style));
        rows.iter().filter(|view| view.namespace == unit.name).for_each(|view| grid.row(cells(view)));
    }
    grid.finish()
}

/// The line above the rows of a unit. While all is well it says no state: who counts the rows that are `online` must
/// not count this one.
fn title(unit: &UnitView) -> String {
    let counts = format!("{} {}/{}", unit.name, unit.online, unit.total);
    match unit_word(unit) {
        "online" => counts,
        word => format!("{counts} {word}"),
    }
}

/// The table of units, one row each, with a newline at its end.
pub fn unit_list(units: &[UnitView], colour: Colour) -> String {
    let name = units.iter().map(|unit| width(&unit.name) + 2).max().unwrap_or(0).clamp(11, 40);
    let widths = [name, 17, 10, 6, 10, 10];
    let mut grid = Grid::new(colour, &widths);
    grid.head(["unit", "status", "online", "↺", "cpu", "mem"].into_iter());
    for unit in units {
        let cells = [
            (unit.name.clone(), Some(Style::BoldCyan)),
            (unit_word(unit).into(), Some(unit_style(unit))),
            (format!("{}/{}", unit.online, unit.total), None),
            (unit.restarts.to_string(), None),
            (share(unit.cpu), None),
            (bytes(unit.memory.unwrap_or(Bytes(0))), None),
        ];
        grid.row(cells.into_iter());
    }
    grid.finish()
}

/// The colour of a unit's state: an app that has done its work is nothing bad.
pub(crate) fn unit_style(unit: &UnitView) -> Style {
    match unit.status {
        _ if unit.healthy => Style::BoldGreen,
        Status::Online => Style::Yellow,
        status => status_style(status),
    }
}

/// A unit's state in a word.
pub(crate) fn unit_word(unit: &UnitView) -> &'static str {
    // What is online and not well is degraded.
    match unit.status {
        Status::Online if !unit.healthy => DEGRADED,
        _ if unit.idle == unit.total => "scheduled",
        status => status.as_str(),
    }
}

/// The text of one cell and how it is painted.
fn cell(column: Column, view: &InstanceView, options: &TableOptions<'_>) -> (String, Option<Style>) {
    match column {
        Id => (view.id.to_string(), Some(Style::BoldCyan)),
        Name => (view.name.clone(), None),
        Namespace => (view.namespace.clone(), None),
        Version => ((options.version)(&view.script).unwrap_or_else(|| "N/A".into()), None),
        Mode => match view.mode {
            ExecMode::Fork => ("fork".into(), Some(Style::BoldInverse)),
            ExecMode::Cluster => ("cluster".into(), Some(Style::BoldBlue)),
        },
        Pid => (view.pid.map_or_else(|| pid_of_nothing(view).into(), |pid| pid.to_string()), None),
        Uptime => (online_uptime(view), None),
        Restarts => (view.restarts.to_string(), None),
        // Whoever counts rows that are `online` as PM2 prints them must find this one, too.
        Column::Status if view.is_degraded() => {
            let word = if options.grouping == Grouping::Units { DEGRADED } else { view.status.as_str() };
            (word.into(), Some(Style::Yellow))
        }
        // As above: PM2 has no such word.
        Column::Status if view.is_idle() && options.grouping == Grouping::Units => {
            let failed = view.job.as_ref().is_some_and(|job| job.has_failed());
            (view.word().into(), Some(if failed { Style::Yellow } else { Style::BoldGreen }))
        }
        Column::Status => (view.status.as_str().into(), Some(status_style(view.status))),
        Cpu => (share(view.cpu), None),
        Memory => (bytes(view.memory.unwrap_or(Bytes(0))), None),
        User => (view.user.clone(), Some(Style::Bold)),
        Watching if view.watching => ("enabled".into(), Some(Style::BoldGreen)),
        Watching => ("disabled".into(), Some(Style::Grey)),
    }
}

/// PM2 shows `N/A` for what was never started.
fn pid_of_nothing(view: &InstanceView) -> &'static str {
    if view.started_at.is_some() { "0" } else { "N/A" }
}

/// The colour of a state.
pub(crate) fn status_style(status: Status) -> Style {
    match status {
        Status::Online => Style::BoldGreen,
        Status::Launching => Style::Blue,
        Status::Stopping | Status::Stopped | Status::Errored | Status::WaitingRestart => Style::BoldRed,
    }
}

/// The uptime of a running process, `0` for any other.
pub(crate) fn online_uptime(view: &InstanceView) -> String {
    match (view.status, view.uptime) {
        (Status::Online, Some(uptime)) => duration(uptime),
        _ => "0".into(),
    }
}

/// A duration in PM2's notation: the largest unit of which there is more than one, so 119 seconds are `119s`.
pub fn duration(time: Millis) -> String {
    let seconds = time.0 / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let (months, years) = (days / 30, days / 365);
    let units = [(years, 'Y'), (months, 'M'), (days, 'D'), (hours, 'h'), (minutes, 'm')];
    match units.iter().find(|(count, _)| *count > 1) {
        Some((count, unit)) => format!("{count}{unit}"),
        None => format!("{seconds}s"),
    }
}

/// A size in PM2's notation: whole bytes, or one digit with a 1024-based unit.
pub fn bytes(size: Bytes) -> String {
    let size = size.0;
    let units = [(40, "tb"), (30, "gb"), (20, "mb"), (10, "kb")];
    match units.iter().find(|(shift, _)| size >> shift > 0) {
        Some((shift, unit)) => format!("{:.1}{unit}", size as f64 / (1_u64 << shift) as f64),
        None => format!("{size}b"),
    }
}

/// A processor share with at most one digit.
pub fn share(cpu: Option<f64>) -> String {
    format!("{}%", (cpu.unwrap_or(0.0) * 10.0).round() / 10.0)
}

/// The list in blocks of lines, one block a process, as `ls --mini-list` prints it.
pub fn mini_list(views: &[InstanceView], options: &TableOptions<'_>) -> String {
    let mut text = String::new();
    for view in options.sort.apply(views) {
        let mode = if view.mode == ExecMode::Cluster { "cluster" } else { "fork" };
        let lines = [
            ("namespace", view.namespace.clone()),
            ("version", (options.version)(&view.script).unwrap_or_else(|| "N/A".into())),
            ("pid", view.pid.map_or_else(|| pid_of_nothing(view).into(), |pid| pid.to_string())),
            ("pm2 id", view.id.to_string()),
            ("status", view.status.as_str().into()),
            ("mode", mode.into()),
            ("restarted", view.restarts.to_string()),
            ("uptime", online_uptime(view)),
            ("memory usage", format!("{} ", bytes(view.memory.unwrap_or(Bytes(0))))),
            ("error log", view.files.error.clone().unwrap_or_else(|| "/dev/null".into())),
            ("watching", if view.watching { "yes" } else { "no" }.into()),
            ("PID file", view.files.pid.clone()),
        ];
        text.push_str(&format!("+--- {}\n", view.name));
        for (key, value) in lines {
            text.push_str(&format!("{key} : {value}\n"));
        }
        text.push('\n');
    }
    text
}

/// The cell of a column's head.
fn head(text: &str) -> (String, Option<Style>) {
    (text.to_owned(), Some(Style::BoldCyan))
}

/// A box of cells with fixed widths.
pub(crate) struct Grid<'a> {
    colour: Colour,
    widths: &'a [usize],
    lines: Vec<String>,
    /// Whether the rule under the heads is still to be drawn. PM2 draws none when no row follows.
    headed: bool,
}

impl<'a> Grid<'a> {
    /// An empty box. Widths include one blank on each side.
    pub(crate) fn new(colour: Colour, widths: &'a [usize]) -> Self {
        let mut grid = Grid { colour, widths, lines: Vec::new(), headed: false };
        grid.rule(["┌", "┬", "┐"]);
        grid
    }

    fn rule(&mut self, [left, middle, right]: [&str; 3]) {
        let dashes: Vec<String> = self.widths.iter().map(|width| "─".repeat(*width)).collect();
        let line = format!("{left}{}{right}", dashes.join(middle));
        self.lines.push(self.colour.paint(Style::Grey, &line));
    }

    /// The heads, and the rule between them and the first row.
    pub(crate) fn head<'b>(&mut self, heads: impl Iterator<Item = &'b str>) {
        self.row(heads.map(head));
        self.headed = true;
    }

    /// A rule with a text in it, for the rows below.
    fn titled_rule(&mut self, title: &str, style: Option<Style>) {
        let inside = self.widths.iter().sum::<usize>() + self.widths.len().saturating_sub(1);
        let title = fit(title, inside.saturating_sub(4));
        let dashes = "─".repeat(inside.saturating_sub(width(&title) + 3));
        let (left, right) =
            (self.colour.paint(Style::Grey, "├─"), self.colour.paint(Style::Grey, &format!("{dashes}┤")));
        self.lines.push(format!("{left} {} {right}", self.colour.paint(style.unwrap_or(Style::Bold), &title)));
    }

    /// A row; what does not fit is cut.
    pub(crate) fn row(&mut self, cells: impl Iterator<Item = (String, Option<Style>)>) {
        if std::mem::take(&mut self.headed) {
            self.rule(["├", "┼", "┤"]);
        }
        let bar = self.colour.paint(Style::Grey, "│");
        let mut line = bar.clone();
        for ((text, style), columns) in cells.zip(self.widths) {
            let text = fit(&text, columns.saturating_sub(2));
            let blanks = " ".repeat(columns.saturating_sub(width(&text) + 1));
            let painted = match style {
                Some(style) => self.colour.paint(style, &text),
                None => text,
            };
            line.extend([" ", &painted, &blanks, &bar]);
        }
        self.lines.push(line);
    }

    /// The whole box, with a newline at its end.
    pub(crate) fn finish(mut self) -> String {
        self.rule(["└", "┴", "┘"]);
        self.lines.push(String::new());
        self.lines.join("\n")
    }
}
