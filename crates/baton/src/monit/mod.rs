//! The terminal dashboard: what is on it, what keys do, and how it is drawn. Nothing here asks anybody: `cli/monit` does.
//!
//! | file | what it does |
//! |---|---|
//! | `board` | what is shown, and what each key changes |
//! | `draw` | the board on a screen of any size |
//!
//! To add a key, add it to [`Board::key`] and to the line at the foot.

mod board;
mod draw;
#[cfg(test)]
mod tests;

pub(crate) use board::{Board, Deed, Order};
pub(crate) use draw::draw;
