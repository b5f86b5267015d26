//! Every engine from outside: the contract that all of them keep, the faults they meet in the same way, what each of them
//! asks and makes of answers, and the seeds of the fuzz targets, replayed.
//!
//! What several of them are tested with stands beside them once: a [`lane`], what is [`asked`] through it, what is
//! [`told`] of it, and the [`protocols`] of their servers.

mod anthropic;
mod asked;
mod contract;
mod faults;
mod inferd;
mod lane;
mod ollama;
mod openai;
mod protocols;
mod sampling;
mod seeds;
mod told;
