//! Processes, process trees, log pumps and the guard: the only part of baton that talks to the kernel, and the only
//! one with `unsafe`. It decides nothing.
