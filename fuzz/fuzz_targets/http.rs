//! An answer in HTTP/1.1, cut into chunks at any place.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inferd_engine::testing::http(input));
