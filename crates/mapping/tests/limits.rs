//! A profile cannot make much of little: what a row, a document and a profile become is bounded.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use mass_mapping::{BrokenInput, MAX_MAPPED_BYTES, MAX_RECORD_BYTES, MAX_RECORDS, Mapper, Outcome, Profile};

/// Maps an input. Returns the codes of the refused rows, the number of records with their bytes, and the end.
fn map(profile: &str, input: &str) -> (Vec<&'static str>, usize, usize, Result<(), BrokenInput>) {
    let mut mapper = Mapper::new(&Profile::from_toml(profile).unwrap()).unwrap();
    let (mut codes, mut records, mut bytes) = (Vec::new(), 0, 0);
    let mut each = |outcome: Outcome<'_>| match outcome {
        Outcome::Record(record) => {
            records += 1;
            bytes += record.bytes;
        }
        Outcome::Refused(row) => codes.extend(row.refusals.first().map(|refusal| refusal.code.as_str())),
    };
    let pushed = input.as_bytes().chunks(8192).try_for_each(|chunk| mapper.push(chunk, &mut each));
    let ended = pushed.and_then(|()| mapper.finish(&mut each));
    (codes, records, bytes, ended)
}

#[test]
fn a_row_that_becomes_too_long_a_document_is_refused() {
    let long = "x".repeat(300_000);
    let rows = format!("a,b\n{long},1\nshort,2\n");
    let template = "contract = \"simple/1.0\"\n[members]\nm = { template = \"{a}{a}{a}{a}\" }\n";
    let several = "contract = \"simple/1.0\"\n[members]\nm = \"a\"\nn = \"a\"\no = \"a\"\np = \"a\"\n";
    for profile in [template, several] {
        let (codes, records, bytes, ended) = map(profile, &rows);
        assert_eq!((codes, records, ended), (vec!["too_long"], 1, Ok(())), "{profile}");
        assert!(bytes < 200, "{bytes}");
    }
    let mut json = "contract = \"simple/1.0\"\nread = { format = \"ndjson\" }\n[members]\n".to_owned();
    for number in 0..200 {
        writeln!(json, "m{number} = {{ from = \"/a\", type = \"json\" }}").unwrap();
    }
    let lines = format!("{{\"a\":[{}1]}}\n{{\"a\":[1]}}\n", "1,".repeat(5000));
    assert_eq!(map(&json, &lines).0, ["too_long"]);
    let others = "contract = \"simple/1.0\"\nread = { format = \"ndjson\" }\n[others]\nfrom = \"\"\n";
    let members: Vec<String> = (0..90_000).map(|number| format!("\"m{number}\":1")).collect();
    let (codes, records, ..) = map(others, &format!("{{{}}}\n{{\"a\":1}}\n", members.join(",")));
    assert_eq!((codes, records), (vec!["too_long"], 1));
}

#[test]
fn times_and_keys_of_readings_are_bounded() {
    let long = "x".repeat(100_000);
    let time = "contract = \"device/2.0\"\n[time]\nfrom = [\"a\", \"b\"]\nformat = \"%Y %H\"\nzone = \"+00:00\"\n\
        [members]\n\"device.id\" = \"b\"\n\"metrics.power_kw\" = \"c\"\n";
    assert_eq!(map(time, &format!("a,b,c\n{long},{long},1\n")).0, ["time"]);
    let readings =
        "contract = \"simple/1.0\"\n[members]\nx = \"a\"\n[long]\nname = \"b\"\nvalue = \"c\"\nunlisted = \"keep\"\n";
    let (codes, records, ..) = map(readings, &format!("a,b,c\n{long},m,1\nshort,m,1\n"));
    assert_eq!((codes, records), (vec!["too_long"], 1));
}

#[test]
fn a_json_document_becomes_a_bounded_number_and_size_of_records() {
    let list = |count: u64| format!("{{\"list\":[{}{{}}]}}", "{},".repeat(usize::try_from(count - 1).unwrap()));
    let profile = |members: &str| {
        format!(
            "contract = \"simple/1.0\"\nread = {{ format = \"json\", records = [\"/list\"] }}\n[members]\n{members}"
        )
    };
    let one = profile("a = { value = 1 }\n");
    let (codes, records, _, ended) = map(&one, &list(MAX_RECORDS));
    assert_eq!((codes.len(), records as u64, ended), (0, MAX_RECORDS, Ok(())));
    let (_, records, _, ended) = map(&one, &list(MAX_RECORDS + 1));
    assert_eq!(records as u64, MAX_RECORDS);
    assert!(ended.unwrap_err().detail.contains("at most 50000 records"));
    let long = profile(&format!("a = {{ value = \"{}\" }}\n", "x".repeat(60_000)));
    let (_, _, bytes, ended) = map(&long, &list(20_000));
    assert!(ended.is_err());
    assert!((MAX_MAPPED_BYTES..MAX_MAPPED_BYTES + MAX_RECORD_BYTES).contains(&bytes), "{bytes}");
    let readings = format!("{long}[long]\nname = \"/n\"\nvalue = \"/v\"\nunlisted = \"keep\"\n");
    let items: Vec<String> = (0..20_000).map(|number| format!("{{\"n\":\"m{number}\",\"v\":{number}}}")).collect();
    // Each row is another reading.
    let readings = readings.replace("[members]\n", "[members]\nk = \"/v\"\n");
    let (_, _, bytes, ended) = map(&readings, &format!("{{\"list\":[{}]}}", items.join(",")));
    assert!(ended.is_err());
    assert!(bytes < MAX_MAPPED_BYTES + 2 * MAX_RECORD_BYTES, "{bytes}");
}

#[test]
fn lists_that_every_row_is_compared_with_are_bounded() {
    let names: Vec<String> = (0..65).map(|number| format!("\"n{number}\"")).collect();
    let names = names.join(", ");
    let pointers = |profile: String| -> Vec<String> {
        let errors = Mapper::new(&Profile::from_toml(&profile).unwrap()).err().unwrap_or_default();
        errors.into_iter().map(|error| error.pointer).collect()
    };
    let simple = |rest: &str| format!("contract = \"simple/1.0\"\n{rest}");
    assert_eq!(pointers(simple(&format!("[read]\nabsent = [{names}]\n[members]\na = \"A\"\n"))), ["/read/absent"]);
    assert_eq!(pointers(simple(&format!("[members]\na = {{ from = [{names}] }}\n"))), ["/members/a/from"]);
    assert_eq!(
        pointers(simple(&format!("[members]\na = {{ from = \"A\", suffix = [{names}] }}\n"))),
        ["/members/a/suffix"]
    );
    let header: Vec<String> = (0..10_001).map(|number| format!("c{number}")).collect();
    let (_, _, _, ended) = map(&simple("[members]\na = \"c1\"\n"), &format!("{}\n", header.join(",")));
    assert!(ended.unwrap_err().detail.contains("at most 10000 columns"));
}
