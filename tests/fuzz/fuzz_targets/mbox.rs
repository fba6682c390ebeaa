#![no_main]

libfuzzer_sys::fuzz_target!(
    init: p7mill_fuzz::prepare("mbox"),
    |data: &[u8]| p7mill_fuzz::check("mbox", data)
);
