//! Suggestions: a profile from the head of a file, with the guesses and doubts as comments.

mod columns;
mod head;
mod write;

/// Writes a profile in TOML from the first bytes of an input; some ten rows are enough.
///
/// The result is a proposal for people: comments name what was guessed and what is doubtful. It is always a profile
/// that [`Mapper::new`](crate::Mapper::new) accepts.
#[must_use]
pub fn suggest(head: &[u8]) -> String {
    let table = head::read(head);
    let columns = columns::examine(&table);
    write::profile(&table, &columns)
}

#[cfg(test)]
mod tests {
    use super::suggest;
    use crate::{Mapper, Outcome, Profile};

    /// Maps an input by its own suggestion. Returns the profile's text, the documents and the refusals.
    fn mapped(input: &[u8]) -> (String, Vec<String>, Vec<String>) {
        let text = suggest(input);
        let profile = Profile::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut mapper = Mapper::new(&profile).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        let (mut documents, mut refused) = (Vec::new(), Vec::new());
        let mut each = |outcome: Outcome<'_>| match outcome {
            Outcome::Record(record) => documents.push(mass_domain::canonical::write(&record.document)),
            Outcome::Refused(row) => refused.push(format!("{:?}", row.refusals)),
        };
        mapper
            .push(input, &mut each)
            .and_then(|()| mapper.finish(&mut each))
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        (text, documents, refused)
    }

    #[test]
    fn suggests_a_working_profile_for_a_plain_file() {
        let input = b"timestamp,sensor,temp_c,humidity\n2026-01-01T00:00:00Z,rack-7,21.5,45\n2026-01-01T00:05:00Z,rack-7,21.7,44\n";
        let (text, documents, refused) = mapped(input);
        assert_eq!(refused, [""; 0], "{text}");
        assert_eq!(
            documents[0],
            r#"{"device":{"id":"rack-7"},"mass_version":"2.0","metrics":{"humidity_percent":45,"temperature_celsius":21.5},"timestamp":"2026-01-01T00:00:00Z"}"#
        );
        assert_eq!(documents.len(), 2);
    }

    #[test]
    fn recognises_semicolons_decimal_commas_latin_letters_and_day_first_dates() {
        let input = b"Fecha;Ger\xe4t;Temperatur (\xb0C);Leistung [W]\r\n31.01.2026 10:00;A1;21,5;1.234,5\r\n31.01.2026 10:05;A1;21,6;1.230,0\r\n";
        let (text, documents, refused) = mapped(input);
        assert_eq!(refused, [""; 0], "{text}");
        assert!(text.contains("windows-1252") && text.contains("%d.%m.%Y %H:%M"), "{text}");
        assert_eq!(
            documents[0],
            r#"{"device":{"id":"A1"},"mass_version":"2.0","metrics":{"power_kw":1.2345,"temperature_celsius":21.5},"timestamp":"2026-01-31T10:00:00Z"}"#
        );
    }

    #[test]
    fn doubts_a_date_whose_day_and_month_could_be_swapped() {
        let (text, ..) = mapped(b"date,device,power_kw\n03/04/2026 10:00,m1,4\n05/04/2026 10:00,m1,5\n");
        assert!(text.contains("# DOUBT") && text.contains("month"), "{text}");
    }

    #[test]
    fn suggests_the_long_shape_for_one_value_a_row() {
        let input = b"time,metric,value\n2026-01-01T00:00:00Z,power_w,100\n2026-01-01T00:00:00Z,temp_f,70.7\n2026-01-01T00:01:00Z,power_w,110\n";
        let (text, documents, refused) = mapped(input);
        assert_eq!(refused, [""; 0], "{text}");
        assert!(text.contains("[long]"), "{text}");
        assert!(
            documents[0].contains(r#""metrics":{"power_kw":0.1,"temperature_celsius":21.5}"#),
            "{documents:?}\n{text}"
        );
    }

    #[test]
    fn finds_the_records_of_a_json_document() {
        let input =
            br#"{"metrics":[{"fields":{"temp":21.5,"power_watts":120},"tags":{"host":"rack-1"},"timestamp":1767225600},
            {"fields":{"temp":21.6,"power_watts":121},"tags":{"host":"rack-1"},"timestamp":1767225660}]}"#;
        let (text, documents, refused) = mapped(input);
        assert_eq!(refused, [""; 0], "{text}");
        assert_eq!(documents.len(), 2, "{text}");
        assert!(
            documents[0].contains(r#""id":"rack-1""#) && documents[0].contains(r#""power_kw":0.12"#),
            "{documents:?}\n{text}"
        );
    }

    #[test]
    fn always_suggests_a_valid_profile() {
        for input in [
            &b""[..],
            b"\n\n",
            b"{",
            b"[]",
            b"{}",
            b"[1,2]",
            b"a",
            b"a,b\n",
            b"1,2\n3,4\n",
            b"\xff\xfea\0,\0b\0\n\0",
            b"\0\x01\x02",
            b"a,a\n1,2\n",
            b"\"x\n",
            b"a.b,\"q\"\"\",\\\n1,2,3\n",
            b"{\"a\":{\"b\":[{\"c/d~\":1}]}}",
            b"{\"a\":1}\n{\"a\":2}\n",
            b"# comment\nx;y\n1;2\n",
            b"|\x0b|\n||0",
        ] {
            let text = suggest(input);
            let profile = Profile::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(Mapper::new(&profile).is_ok(), "{:?}\n{text}", Mapper::new(&profile).err());
        }
    }
}
