#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowmesh_fuzz::super_packet(data));
