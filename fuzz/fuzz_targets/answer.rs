//! The frames of one answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inferd_proto::testing::answer(input));
