//! Mistakes in profiles are found, each with its place.

use std::fmt::Write as _;

use mass_mapping::{MAX_PROFILE_BYTES, Mapper, Profile};

const VALID: &str = r#"
contract = "device/2.0"
[time]
from = "time"
[members]
"device.id" = "device"
"metrics.power_kw" = "power"
"#;

/// Returns the pointers of the errors of a profile.
fn pointers(text: &str) -> Vec<String> {
    match Profile::from_toml(text) {
        Ok(profile) => {
            let errors = Mapper::new(&profile).err().unwrap_or_default();
            errors.into_iter().map(|error| error.pointer).collect()
        }
        Err(error) => vec![error.pointer],
    }
}

/// Replaces a part of the valid profile.
fn with(from: &str, to: &str) -> Vec<String> {
    assert!(VALID.contains(from), "{from}");
    pointers(&VALID.replacen(from, to, 1))
}

#[test]
fn a_complete_profile_has_no_mistakes() {
    assert_eq!(pointers(VALID), [""; 0]);
}

#[test]
fn mistakes_of_form_are_found_with_their_places() {
    for (from, to, pointer) in [
        ("[time]", "[tiem]", "/tiem"),
        ("from = \"time\"", "form = \"time\"", "/time/form"),
        ("from = \"time\"", "from = 7", "/time/from"),
        ("from = \"time\"", "from = \"time\"\ndoubled = \"both\"", "/time/doubled"),
        ("= \"device\"", "= 7", "/members/device.id"),
        ("= \"power\"", "= { from = \"power\", unti = \"w->kw\" }", "/members/metrics.power_kw/unti"),
        ("= \"power\"", "= { from = \"power\", absent = \"zero\" }", "/members/metrics.power_kw/absent"),
        ("[time]", "[read]\nformat = \"xlsx\"\n[time]", "/read/format"),
        ("[time]", "[read]\ndelimiter = \"ab\"\n[time]", "/read/delimiter"),
        ("[time]", "[time", ""),
    ] {
        assert_eq!(with(from, to), [pointer], "{to}");
    }
    let error = Profile::from_toml("contract = \"device/2.0\"\n[time]\nfrom = \"t\"\nfrom = \"u\"\n").unwrap_err();
    assert!(error.detail.contains("on line 4"), "{error}");
    assert_eq!(
        Profile::from_json(br#"{"contract": "device/2.0", "time": {"from": 1}}"#).unwrap_err().pointer,
        "/time/from"
    );
    assert!(Profile::from_json(br#"{"contract": "device/2.0"} {}"#).is_err());
}

#[test]
fn mistakes_of_content_are_found_with_their_places() {
    for (from, to, expected) in [
        ("device/2.0", "device/3.0", &["/contract"][..]),
        ("from = \"time\"", "from = []", &["/time/from"]),
        ("from = \"time\"", "from = \"time\"\nzone = \"Mars/Olympus\"", &["/time/zone"]),
        ("from = \"time\"", "from = \"time\"\nformat = \"%d/%m/%Y %H:%M\"", &["/time/zone"]),
        ("from = \"time\"", "from = \"time\"\nto = \"when\"", &["/time/to", "/members"]),
        ("[time]\nfrom = \"time\"\n", "", &["/members"]),
        ("\"device.id\" = \"device\"\n", "", &["/members", "/members"]),
        ("\"device.id\"", "\"device.idd\"", &["/members/device.idd", "/members"]),
        ("\"device.id\"", "\"device\"", &[]),
        ("\"device.id\" =", "\"device.type\" = \"type\"\n\"device.id.x\" =", &[]),
        ("\"metrics.power_kw\"", "\"metrics\"", &[]),
        ("\"metrics.power_kw\"", "\"metrics.\"", &["/members/metrics."]),
        ("= \"power\"", "= { from = \"power\", value = 1 }", &["/members/metrics.power_kw"]),
        ("= \"power\"", "= {}", &["/members/metrics.power_kw", "/members/metrics.power_kw/from"]),
        ("= \"power\"", "= { from = \"power\", unit = \"w->kwh\" }", &["/members/metrics.power_kw/unit"]),
        ("= \"power\"", "= { from = \"power\", unit = \"w->kw\", type = \"text\" }", &["/members/metrics.power_kw"]),
        ("= \"power\"", "= { from = \"#0\" }", &["/members/metrics.power_kw/from"]),
        ("= \"device\"", "= { template = \"rack-{Rack\" }", &["/members/device.id/template"]),
        ("= \"device\"", "= { template = \"rack-}\" }", &["/members/device.id/template"]),
        ("[time]", "[read]\nencoding = \"klingon\"\n[time]", &["/read/encoding"]),
        ("[time]", "[read]\ndelimiter = \"§\"\n[time]", &["/read/delimiter"]),
        ("[time]", "[read]\ndelimiter = \"'\"\nquote = \"'\"\n[time]", &["/read/quote"]),
        ("[time]", "[read]\ndecimal = \";\"\n[time]", &["/read/decimal"]),
        ("[time]", "[read]\nthousands = \".\"\n[time]", &["/read/thousands"]),
        ("[time]", "[read]\nheader = false\n[time]", &["/read/columns"]),
        ("[time]", "[read]\nrecords = [\"/a\"]\n[time]", &["/read/records"]),
        ("[time]", "[[ignore]]\nfrom = \"x\"\n[time]", &["/ignore/0"]),
        ("[members]", "[long]\nname = \"m\"\nvalue = \"v\"\n[members]", &["/long/metrics"]),
        (
            "[members]",
            "[long]\nname = \"m\"\nvalue = \"v\"\nunlisted = \"keep\"\nwindow = 0\n[members]",
            &["/long/window"],
        ),
        (
            "[members]",
            "[long]\nname = \"m\"\nvalue = \"v\"\n[long.metrics]\n\"a/b\" = { to = \"x\", unit = \"y\" }\n[members]",
            &["/long/metrics/a~1b/unit"],
        ),
    ] {
        let found = with(from, to);
        // A member below another one is a mistake of the shape.
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        if to.contains("device.id.x") || to == "\"device\"" || to == "\"metrics\"" {
            continue;
        }
        assert_eq!(found, expected, "{to}");
    }
}

#[test]
fn pointers_are_demanded_for_json_and_checked() {
    let json = |member: &str| {
        pointers(&format!(
            "contract = \"device/2.0\"\n[read]\nformat = \"json\"\nrecords = [\"/a/*/b\"]\n[time]\nfrom = \"/t\"\n[members]\n\"device.id\" = \"/d\"\n\"metrics.power_kw\" = \"{member}\"\n"
        ))
    };
    assert_eq!(json("/p"), [""; 0]);
    assert_eq!(json("$/a/*/p"), [""; 0]);
    for wrong in ["p", "$p", "/a/*/p", "$/a/*/*/p"] {
        assert_eq!(json(wrong), ["/members/metrics.power_kw/from"], "{wrong}");
    }
}

#[test]
fn profiles_are_bounded() {
    let long = format!("{VALID}# {}\n", "x".repeat(MAX_PROFILE_BYTES));
    assert!(Profile::from_toml(&long).unwrap_err().detail.contains("at most 65536 bytes"));
    assert!(Profile::from_json(&vec![b' '; MAX_PROFILE_BYTES + 1]).is_err());
    let many = |count: usize| {
        let mut text = VALID.to_owned();
        for number in 0..count {
            writeln!(text, "\"metrics.m{number}\" = \"m\"").unwrap();
        }
        pointers(&text)
    };
    assert_eq!(many(254), [""; 0]);
    assert_eq!(many(255), ["/members"]);
}

#[test]
fn the_same_path_twice_is_a_mistake() {
    let errors = |members: &str| pointers(&VALID.replace("\"device.id\" = \"device\"\n", members));
    assert_eq!(errors("\"device.id\" = \"device\"\n\"timestamp\" = \"x\"\n"), ["/time/to"]);
    let simple = "contract = \"simple/1.0\"\n[members]\n\"a\" = \"x\"\n\"payload.a\" = \"y\"\n";
    assert_eq!(pointers(simple), ["/members/payload.a"]);
    let nested = "contract = \"simple/1.0\"\n[members]\n\"a\" = \"x\"\n\"a.b\" = \"y\"\n";
    assert_eq!(pointers(nested), ["/members/a.b"]);
}

#[test]
fn what_a_profile_lacks_is_told_in_words() {
    let profile = Profile::from_toml("contract = \"device/1.1\"\n").unwrap();
    let Err(errors) = Mapper::new(&profile) else { panic!("an empty profile") };
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for member in ["/device/id", "/metrics/pressure_hpa", "/metadata/batch_id", "/timestamp"] {
        assert!(text.contains(&format!("expected a source for {member}, which device/1.1 requires")), "{text}");
    }
    assert!(!text.contains("/metadata/notes") && !text.contains("mass_version"), "{text}");
}
