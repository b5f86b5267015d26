//! Lines of a stream, cut into chunks at any place.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| inferd_proto::testing::frame(input));
