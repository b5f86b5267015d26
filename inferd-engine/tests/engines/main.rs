//! Every engine from outside: the contract that all of them keep, the faults they meet in the same way, what each of them
//! asks and makes of answers, and the seeds of the fuzz targets, replayed.

mod anthropic;
mod contract;
mod faults;
mod inferd;
mod ollama;
mod openai;
mod sampling;
mod seeds;
