//! Fuzzes the mapping: no profile and no input makes it panic, and a suggestion is always a valid profile.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mass_mapping::{Mapper, Outcome, Profile, suggest};

fuzz_target!(|input: (&str, &[u8], u8)| {
    let (profile, bytes, chunk) = input;
    let suggested = suggest(bytes);
    let suggested = Profile::from_toml(&suggested).expect("a suggestion is a profile");
    for profile in [Some(suggested), Profile::from_toml(profile).ok()].into_iter().flatten() {
        let Ok(mut mapper) = Mapper::new(&profile) else { continue };
        let mut each = |outcome: Outcome<'_>| drop(format!("{outcome:?}"));
        let pushed = bytes.chunks(usize::from(chunk) + 1).try_for_each(|chunk| mapper.push(chunk, &mut each));
        if pushed.is_ok() {
            let _ = mapper.finish(&mut each);
        }
    }
});
