//! The face that scripts and tools written for PM2 see: its records, tables, texts, environment and files. It decides
//! nothing.

#![forbid(unsafe_code)]
