//! What the outside sees of baton through PM2's eyes.

mod common;
mod dump;
mod inspect;
mod record;
mod socket;
mod table;
