//! The board on screens of several sizes, and what keys do.

use super::board::KEPT;
use super::*;
use baton_core::units::InstanceId;
use baton_core::world::InstanceView;
use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

fn slot(id: u32, name: &str, unit: &str, status: &str) -> InstanceView {
    serde_json::from_value(json!({
        "id": id, "number": 0, "name": name, "namespace": unit, "status": status, "ready": true, "pid": 100 + id,
        "uptime": 130_000, "created_at": 0, "restarts": id, "unstable": 0, "memory": 50_000_000 + 10_000_000 * id,
        "cpu": 12.5 * f64::from(id), "files": {"out": null, "error": null, "combined": null, "pid": "/tmp/pid"}, "mode": "fork_mode", "user": "me", "watching": false, "script": "/srv/app.js",
    }))
    .unwrap()
}

fn board() -> Board {
    let mut board = Board::new();
    let list = |cpu: f64| {
        let mut all = vec![
            slot(2, "worker", "shop", "errored"),
            slot(0, "api", "shop", "online"),
            slot(1, "a-name-that-is-much-too-long-for-it", "tools", "waiting restart"),
        ];
        all[1].cpu = Some(cpu);
        all
    };
    for second in 0..20 {
        board.list(list(f64::from(second) * 5.0));
        board.sample();
    }
    board.line(false, b"listening on \x1b[32m8080\x1b[0m\n");
    board.line(true, b"warn:\tslow\n");
    board
}

/// The picture as text.
fn shown(board: &Board, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(board, frame.area(), frame.buffer_mut())).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| format!("{}\n", row(y).trim_end())).collect()
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

fn press(board: &mut Board, text: &str) -> Option<Order> {
    text.chars().map(|char| board.key(key(KeyCode::Char(char)))).last().flatten()
}

#[test]
fn it_looks_as_it_was_agreed_on_screens_of_several_sizes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/monit/golden");
    let mut asking = board();
    press(&mut asking, "r");
    let many = (0..100).map(|id| slot(id, &format!("app-{id}"), "default", "online")).collect();
    let mut full = Board::new();
    full.list(many);
    (0..50).for_each(|_| drop(full.key(key(KeyCode::Down))));
    for (name, board, width, height) in [
        ("80x24", &board(), 80, 24),
        ("132x40", &board(), 132, 40),
        ("asking", &asking, 80, 24),
        ("empty", &Board::new(), 80, 12),
        ("hundred", &full, 80, 24),
        ("tiny", &board(), 30, 5),
    ] {
        let shown = shown(board, width, height);
        if std::env::var_os("BATON_WRITE_GOLDEN").is_some() {
            std::fs::write(folder.join(name), &shown).unwrap();
        }
        let agreed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert_eq!(shown, agreed, "{name}; look at it and write it with BATON_WRITE_GOLDEN=1");
    }
}

#[test]
fn nothing_is_done_without_a_yes() {
    let mut board = board();
    assert_eq!(press(&mut board, "rn"), None);
    assert_eq!(press(&mut board, "sq"), None, "the q is a no, not a quit");
    assert_eq!(press(&mut board, "ry"), Some(Order::Do(Deed::Restart, "api".into())));
    assert_eq!(press(&mut board, "+y"), Some(Order::Do(Deed::More, "api".into())));
    assert_eq!(board.key(key(KeyCode::Down)), Some(Order::Follow(InstanceId(2))));
    assert_eq!(press(&mut board, "ly"), Some(Order::Do(Deed::Reload, "worker".into())));
    assert_eq!(press(&mut board, "q"), Some(Order::Quit));
}

#[test]
fn a_search_leaves_the_lines_that_have_it() {
    let mut board = board();
    press(&mut board, "/slow");
    assert!(shown(&board, 80, 24).contains("/slow█"));
    board.key(key(KeyCode::Enter));
    let picture = shown(&board, 80, 24);
    assert!(picture.contains("warn:    slow") && !picture.contains("listening"), "{picture}");
    assert_eq!(board.key(key(KeyCode::Esc)), None, "first the search goes");
    assert!(shown(&board, 80, 24).contains("listening on 8080"));
    assert_eq!(board.key(key(KeyCode::Esc)), Some(Order::Quit));
}

#[test]
fn what_is_kept_is_bounded_and_a_view_that_was_scrolled_stays_where_it_is() {
    let mut board = board();
    (0..30).for_each(|line| board.line(false, format!("line {line}\n").as_bytes()));
    board.key(key(KeyCode::PageUp));
    let before = shown(&board, 80, 24);
    assert!(before.contains("line 19\n") && !before.contains("line 20\n"), "{before}");
    board.line(false, b"more\n");
    assert_eq!(shown(&board, 80, 24), before);
    (0..KEPT * 2).for_each(|_| board.line(false, b"x\n"));
    assert_eq!(board.shown_lines().count(), KEPT);
}

#[test]
fn the_chosen_slot_stays_chosen_and_another_is_when_it_is_gone() {
    let mut board = board();
    board.key(key(KeyCode::Down));
    assert!(!board.list(vec![slot(2, "worker", "shop", "online"), slot(0, "api", "shop", "online")]));
    assert_eq!(board.chosen(), Some(InstanceId(2)));
    assert!(board.list(vec![slot(0, "api", "shop", "online")]));
    assert_eq!(board.chosen(), Some(InstanceId(0)));
}
