//! What is on the dashboard, and what keys do to it.

use baton_core::units::{Bytes, InstanceId};
use baton_core::world::InstanceView;
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::{BTreeMap, VecDeque};

/// Lines of a log that are kept.
pub(crate) const KEPT: usize = 1000;

/// Samples of each slot that are kept: one a second.
const SAMPLES: usize = 60;

/// What is done with an app when it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Start,
    Stop,
    Restart,
    Reload,
    More,
    Fewer,
}

impl Deed {
    /// The question in front of the app's name.
    pub(super) fn question(self) -> &'static str {
        match self {
            Deed::Start => "Start",
            Deed::Stop => "Stop",
            Deed::Restart => "Restart",
            Deed::Reload => "Reload",
            Deed::More => "Start one more instance of",
            Deed::Fewer => "Remove an instance of",
        }
    }
}

/// What whoever owns the board has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Leave.
    Quit,
    /// Another slot is chosen: its log is wanted.
    Follow(InstanceId),
    /// Do this with the app of this name.
    Do(Deed, String),
}

/// What keys mean now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They move and act.
    Normal,
    /// They write what is searched for.
    Search(String),
    /// `y` confirms.
    Confirm(Deed, String),
}

/// What a slot has used.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    pub(super) cpu: VecDeque<f64>,
    pub(super) memory: VecDeque<u64>,
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct Board {
    /// The slots, by unit, name and number.
    pub(super) slots: Vec<InstanceView>,
    pub(super) used: BTreeMap<InstanceId, Used>,
    pub(super) chosen: Option<InstanceId>,
    /// The definition of the chosen slot, once it came.
    pub(super) detail: Option<InstanceView>,
    /// Lines of the chosen slot, and whether each is of standard error.
    pub(super) log: VecDeque<(bool, String)>,
    /// Lines between the last one and the bottom of the view.
    pub(super) scrolled: usize,
    /// Only lines with this text are shown.
    pub(super) search: String,
    pub(super) mode: Mode,
    /// What came of the last deed.
    pub(super) said: String,
}

impl Board {
    /// Nothing yet.
    pub(crate) fn new() -> Board {
        Board {
            slots: Vec::new(),
            used: BTreeMap::new(),
            chosen: None,
            detail: None,
            log: VecDeque::new(),
            scrolled: 0,
            search: String::new(),
            mode: Mode::Normal,
            said: String::new(),
        }
    }

    /// Takes in the list as it is now. True: another slot is chosen.
    pub(crate) fn list(&mut self, mut slots: Vec<InstanceView>) -> bool {
        slots.sort_by(|a, b| (&a.namespace, &a.name, a.id).cmp(&(&b.namespace, &b.name, b.id)));
        self.slots = slots;
        self.used.retain(|id, _| self.slots.iter().any(|view| view.id == *id));
        let there = self.chosen.is_some_and(|chosen| self.slots.iter().any(|view| view.id == chosen));
        if there {
            return false;
        }
        self.choose(self.slots.first().map(|view| view.id));
        true
    }

    /// Takes in what one slot uses, a second after the last time.
    pub(crate) fn sample(&mut self) {
        for view in &self.slots {
            let used = self.used.entry(view.id).or_default();
            keep(&mut used.cpu, view.cpu.unwrap_or(0.0), SAMPLES);
            keep(&mut used.memory, view.memory.unwrap_or(Bytes(0)).0, SAMPLES);
        }
    }

    /// Puts the figures of the last look into a list without any.
    pub(crate) fn keep_figures(&self, slots: &mut [InstanceView]) {
        for view in slots {
            let known = self.slots.iter().find(|known| known.id == view.id);
            (view.memory, view.cpu) = known.map_or((None, None), |known| (known.memory, known.cpu));
        }
    }

    /// One slot.
    pub(crate) fn view(&self, id: InstanceId) -> Option<&InstanceView> {
        self.slots.iter().find(|view| view.id == id)
    }

    /// The slot whose log is shown.
    pub(crate) fn chosen(&self) -> Option<InstanceId> {
        self.chosen
    }

    /// Takes in the definition of the chosen slot.
    pub(crate) fn describe(&mut self, view: Option<InstanceView>) {
        self.detail = view.filter(|view| Some(view.id) == self.chosen);
    }

    /// Takes in a line of the chosen slot.
    pub(crate) fn line(&mut self, is_error: bool, bytes: &[u8]) {
        if self.scrolled > 0 && self.log.len() < KEPT {
            self.scrolled += 1;
        }
        keep(&mut self.log, (is_error, readable(bytes)), KEPT);
    }

    /// Takes in what came of a deed.
    pub(crate) fn say(&mut self, text: String) {
        self.said = text;
    }

    /// Takes in a key; what has to be done for it.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Order> {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Some(Order::Quit);
        }
        match std::mem::replace(&mut self.mode, Mode::Normal) {
            Mode::Normal => self.normal(key.code),
            Mode::Search(text) => {
                self.searching(text, key.code);
                None
            }
            Mode::Confirm(deed, name) => match key.code {
                KeyCode::Char('y' | 'Y') => Some(Order::Do(deed, name)),
                _ => {
                    self.said = "nothing was done".into();
                    None
                }
            },
        }
    }

    fn normal(&mut self, key: KeyCode) -> Option<Order> {
        self.said.clear();
        match key {
            KeyCode::Char('q') => return Some(Order::Quit),
            KeyCode::Esc if self.search.is_empty() => return Some(Order::Quit),
            KeyCode::Esc => self.search.clear(),
            KeyCode::Up | KeyCode::Char('k') => return self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => return self.step(1),
            KeyCode::PageUp => self.scrolled = (self.scrolled + 10).min(self.shown_lines().count().saturating_sub(1)),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_sub(10),
            KeyCode::End => self.scrolled = 0,
            KeyCode::Char('/') => self.mode = Mode::Search(String::new()),
            KeyCode::Char('r') => self.ask(Deed::Restart),
            KeyCode::Char('l') => self.ask(Deed::Reload),
            KeyCode::Char('s') => self.ask(Deed::Stop),
            KeyCode::Char('t') => self.ask(Deed::Start),
            KeyCode::Char('+') => self.ask(Deed::More),
            KeyCode::Char('-') => self.ask(Deed::Fewer),
            _ => {}
        }
        None
    }

    fn searching(&mut self, mut text: String, key: KeyCode) {
        match key {
            KeyCode::Enter => {
                self.search = text;
                self.scrolled = 0;
                return;
            }
            KeyCode::Esc => return,
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(char) => text.push(char),
            _ => {}
        }
        self.mode = Mode::Search(text);
    }

    fn ask(&mut self, deed: Deed) {
        if let Some(view) = self.slots.iter().find(|view| Some(view.id) == self.chosen) {
            self.mode = Mode::Confirm(deed, view.name.clone());
        }
    }

    /// Chooses the slot this many rows further, as far as there are some.
    fn step(&mut self, by: isize) -> Option<Order> {
        let at = self.slots.iter().position(|view| Some(view.id) == self.chosen)?;
        let next = at.saturating_add_signed(by).min(self.slots.len() - 1);
        if next == at {
            return None;
        }
        let id = self.slots[next].id;
        self.choose(Some(id));
        Some(Order::Follow(id))
    }

    fn choose(&mut self, id: Option<InstanceId>) {
        self.chosen = id;
        self.detail = None;
        self.log.clear();
        self.scrolled = 0;
    }

    /// The lines that are searched for, or all.
    pub(super) fn shown_lines(&self) -> impl DoubleEndedIterator<Item = &(bool, String)> {
        self.log.iter().filter(|(_, line)| self.search.is_empty() || line.contains(&self.search))
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if all.len() == most {
        all.pop_front();
    }
    all.push_back(one);
}

/// A line without what would move the cursor or change colours.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            // A sequence ends with a letter; what else begins with ESC is two characters.
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
            }
            '\u{1b}' => drop(chars.next()),
            '\t' => shown.push_str("    "),
            char if char.is_control() => {}
            char => shown.push(char),
        }
    }
    shown
}
