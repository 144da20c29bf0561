#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowmesh_fuzz::allowed_ips(data));
