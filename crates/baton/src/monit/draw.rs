//! The board on a screen: the list by unit above, then the chosen slot, then its log, and the keys at the foot.

use super::board::{Board, Mode, Used};
use baton_core::units::Bytes;
use baton_core::world::{InstanceView, Status};
use baton_pm2::table;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span};

/// Steps of the small curves.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Samples in a row of the list.
const IN_ROW: usize = 8;
/// Rows about the chosen slot, its heading included.
const ABOUT: u16 = 4;
/// The narrowest and lowest screen that there is something to see on.
const SMALLEST: (u16, u16) = (40, 12);

/// Draws the board.
pub(crate) fn draw(board: &Board, area: Rect, buffer: &mut Buffer) {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("at least {}×{}, please", SMALLEST.0, SMALLEST.1);
        put(buffer, area, 0, Line::raw(text));
        return;
    }
    let rows = rows(board, usize::from(area.width));
    let middle = area.height - 3 - ABOUT;
    let most = (middle / 2).max(3);
    let high = u16::try_from(rows.len()).unwrap_or(u16::MAX).min(most);
    put(buffer, area, 0, heading(board));
    put(buffer, area, 1, columns(usize::from(area.width)));
    let chosen = rows.iter().position(|(is_chosen, _)| *is_chosen).unwrap_or(0);
    let first = (chosen + 1).saturating_sub(usize::from(high));
    for (at, (_, row)) in (2..2 + high).zip(rows.into_iter().skip(first)) {
        put(buffer, area, at, row);
    }
    let about = 2 + high;
    for (at, line) in (about..about + ABOUT).zip(details(board, usize::from(area.width))) {
        put(buffer, area, at, line);
    }
    let log = about + ABOUT;
    let lines = usize::from(area.height - 1 - log);
    let shown: Vec<&(bool, String)> = board.shown_lines().rev().skip(board.scrolled).take(lines).collect();
    for (at, (is_error, line)) in (log..).zip(shown.into_iter().rev()) {
        let style = if *is_error { Style::new().fg(Color::Red) } else { Style::new() };
        put(buffer, area, at, Line::styled(line.clone(), style));
    }
    put(buffer, area, area.height - 1, foot(board));
}

fn put(buffer: &mut Buffer, area: Rect, row: u16, line: Line<'_>) {
    buffer.set_line(area.x, area.y + row, &line, area.width);
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn heading(board: &Board) -> Line<'static> {
    let count = |wanted: Status| board.slots.iter().filter(|view| view.status == wanted).count();
    let memory: u64 = board.slots.iter().filter_map(|view| view.memory).map(|memory| memory.0).sum();
    let cpu: f64 = board.slots.iter().filter_map(|view| view.cpu).sum();
    Line::from(vec![
        Span::styled("baton ", bold()),
        Span::raw(format!(
            "{} processes, {} online, {} errored · cpu {} · mem {}",
            board.slots.len(),
            count(Status::Online),
            count(Status::Errored),
            table::share(Some(cpu)),
            table::bytes(Bytes(memory))
        )),
    ])
}

/// Width of the names in the list.
fn name_width(width: usize) -> usize {
    width.saturating_sub(62).clamp(10, 40)
}

fn columns(width: usize) -> Line<'static> {
    let text = format!(
        "  {:<3} {:<name$} {:<9} {:>4} {:>5} {:>6} {:<IN_ROW$} {:>8} {:<IN_ROW$}",
        "id",
        "name",
        "status",
        "↺",
        "up",
        "cpu",
        "",
        "mem",
        "",
        name = name_width(width)
    );
    Line::styled(text, Style::new().add_modifier(Modifier::UNDERLINED))
}

/// The rows of the list, and which is that of the chosen slot. Units have a line each when there are several.
fn rows(board: &Board, width: usize) -> Vec<(bool, Line<'static>)> {
    let several = board.slots.iter().any(|view| view.namespace != board.slots[0].namespace);
    let mut rows = Vec::new();
    let mut unit = None;
    for view in &board.slots {
        if several && unit != Some(&view.namespace) {
            unit = Some(&view.namespace);
            rows.push((false, Line::styled(view.namespace.clone(), bold())));
        }
        let is_chosen = Some(view.id) == board.chosen;
        rows.push((is_chosen, row(view, board.used.get(&view.id), is_chosen, width)));
    }
    if rows.is_empty() {
        rows.push((true, Line::raw("nothing is started yet: baton start …")));
    }
    rows
}

fn row(view: &InstanceView, used: Option<&Used>, is_chosen: bool, width: usize) -> Line<'static> {
    let none = Used::default();
    let used = used.unwrap_or(&none);
    let name = name_width(width);
    let colour = match view.status {
        _ if view.is_idle() => Color::Blue,
        Status::Online => Color::Green,
        Status::Stopped | Status::Errored => Color::Red,
        Status::Launching | Status::Stopping | Status::WaitingRestart => Color::Yellow,
    };
    let status = match view.status {
        Status::WaitingRestart => "waiting",
        _ => view.word(),
    };
    let up = view.uptime.map_or_else(|| "0".into(), table::duration);
    let memory = table::bytes(view.memory.unwrap_or(Bytes(0)));
    let cells = vec![
        Span::raw(format!("{} {:<3} {} ", if is_chosen { '›' } else { ' ' }, view.id.0, fit(&view.name, name))),
        Span::styled(format!("{status:<9}"), Style::new().fg(colour)),
        Span::raw(format!(" {:>4} {up:>5} {:>6} ", view.restarts, table::share(view.cpu))),
        Span::styled(
            curve(&used.cpu.iter().copied().collect::<Vec<f64>>(), IN_ROW, 100.0),
            Style::new().fg(Color::Cyan),
        ),
        Span::raw(format!(" {memory:>8} ")),
        Span::styled(curve(&megabytes(used), IN_ROW, 0.0), Style::new().fg(Color::Magenta)),
    ];
    let line = Line::from(cells);
    if is_chosen { line.style(Style::new().add_modifier(Modifier::REVERSED)) } else { line }
}

#[expect(clippy::cast_precision_loss, reason = "a curve of eight steps")]
fn megabytes(used: &Used) -> Vec<f64> {
    used.memory.iter().map(|bytes| *bytes as f64).collect()
}

/// The last samples as steps between 0 and the largest, which counts as `least` at least.
fn curve(samples: &[f64], width: usize, least: f64) -> String {
    let last = &samples[samples.len().saturating_sub(width)..];
    let top = last.iter().copied().fold(least, f64::max);
    let step = |sample: &f64| {
        let share = if top > 0.0 { sample / top } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let step = (share * 7.0).round().clamp(0.0, 7.0) as usize;
        STEPS[step]
    };
    let drawn: String = last.iter().map(step).collect();
    format!("{}{drawn}", " ".repeat(width - last.len()))
}

/// What there is to say about the chosen slot.
fn details(board: &Board, width: usize) -> Vec<Line<'static>> {
    let Some(view) = board.slots.iter().find(|view| Some(view.id) == board.chosen) else {
        return vec![Line::raw("─".repeat(width))];
    };
    let title = format!("── {} ({}) ", view.name, view.id);
    let rest = width.saturating_sub(title.chars().count());
    let cause = view.last.as_ref().map(|last| last.cause.to_string()).unwrap_or_default();
    let pid = view.pid.map_or_else(|| "–".into(), |pid| pid.to_string());
    let mut lines = vec![
        Line::styled(format!("{title}{}", "─".repeat(rest)), bold()),
        Line::raw(format!("{}  pid {pid}  {}", view.script, cause)),
    ];
    let used = board.used.get(&view.id);
    let half = width.saturating_sub(12) / 2;
    let (cpu, memory) =
        used.map_or_else(Default::default, |used| (used.cpu.iter().copied().collect::<Vec<f64>>(), megabytes(used)));
    lines.push(Line::from(vec![
        Span::raw("cpu "),
        Span::styled(curve(&cpu, half.min(60), 100.0), Style::new().fg(Color::Cyan)),
        Span::raw("  mem "),
        Span::styled(curve(&memory, half.min(60), 0.0), Style::new().fg(Color::Magenta)),
    ]));
    let metrics = board.detail.as_ref().and_then(|view| view.told.as_deref()).map(|told| {
        let one = |(name, metric): (&String, &serde_json::Value)| {
            let value = &metric["value"];
            let unit = metric["unit"].as_str().unwrap_or_default();
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}: {value}{unit}")
        };
        told.metrics.iter().map(one).collect::<Vec<String>>().join("  ")
    });
    let searched = match board.search.as_str() {
        "" => String::new(),
        text => format!("only lines with {text:?} (Esc: all)  "),
    };
    lines.push(Line::raw(format!("{searched}{}", metrics.unwrap_or_default())));
    lines
}

fn foot(board: &Board) -> Line<'static> {
    match &board.mode {
        Mode::Search(text) => {
            Line::from(vec![Span::styled(format!("/{text}█"), bold()), Span::raw("  Enter: show, Esc: no")])
        }
        Mode::Confirm(deed, name) => {
            Line::styled(format!("{} {name}? y: yes, any other key: no", deed.question()), bold().fg(Color::Yellow))
        }
        Mode::Normal if !board.said.is_empty() => Line::styled(board.said.clone(), bold()),
        Mode::Normal => Line::styled(
            "↑↓ choose  r restart  l reload  s stop  t start  + - scale  / search  q quit",
            Style::new().add_modifier(Modifier::DIM),
        ),
    }
}

/// Text of exactly this many columns.
fn fit(text: &str, columns: usize) -> String {
    let cut = Span::raw(text).width() > columns;
    let mut shown = String::new();
    for char in text.chars() {
        let wide = Span::raw(format!("{shown}{char}")).width();
        if wide > columns - usize::from(cut) {
            break;
        }
        shown.push(char);
    }
    if cut {
        shown.push('…');
    }
    let used = Span::raw(shown.as_str()).width();
    format!("{shown}{}", " ".repeat(columns.saturating_sub(used)))
}
