//! A client's line.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inferd_proto::testing::request(input));
