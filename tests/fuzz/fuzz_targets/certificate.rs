#![no_main]

libfuzzer_sys::fuzz_target!(
    init: p7mill_fuzz::prepare("certificate"),
    |data: &[u8]| p7mill_fuzz::check("certificate", data)
);
