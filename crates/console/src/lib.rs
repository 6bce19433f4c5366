//! The browser console as files in the binary: ES modules as they are written, without a build step for them.
//!
//! A client of the public API and nothing else. The program mounts [`page`] at the root and every file of [`files`] below
//! [`folder`], whose name changes with the files, so that browsers may keep them for good.

/// A file that the page loads.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its path below [`folder`]: a folder and a name, such as `core/main.js`.
    pub path: &'static str,
    /// Its content.
    pub content: &'static [u8],
}

impl File {
    /// Returns its media type, by the ending of its name.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        }
    }
}

/// Every file with its path below `assets`, by [`build.rs`](../build.rs).
const CONTENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

const PAGE: &str = include_str!("../assets/index.html");

/// The digest of all files.
pub const VERSION: &str = env!("MASS_CONSOLE_VERSION");

/// The policy of the page: scripts and styles of its own files alone, none in the page, and calls of its own server alone.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

/// Iterates over the files that the page loads.
pub fn files() -> impl Iterator<Item = File> {
    CONTENTS.iter().filter(|(path, _)| *path != "index.html").map(|(path, content)| File { path, content })
}

/// Returns the folder of the files, relative to the page: `console/` and the digest.
#[must_use]
pub fn folder() -> String {
    format!("console/{VERSION}")
}

/// Returns the page. `base` is the path before the page's own: empty, or with a slash at its begin and none at its end.
#[must_use]
pub fn page(base: &str) -> String {
    let modules = files().filter(|file| is_needed_at_once(file.path));
    let preload: String =
        modules.map(|file| format!("<link rel=\"modulepreload\" href=\"{}/{}\">\n", folder(), file.path)).collect();
    PAGE.replace("{{base}}", &escaped(base)).replace("{{folder}}", &folder()).replace("{{preload}}", preload.trim_end())
}

/// Returns whether the first page of the console needs the file: the others are loaded when their page is opened.
fn is_needed_at_once(path: &str) -> bool {
    let shared = ["core/", "parts/", "vendor/"].iter().any(|folder| path.starts_with(folder));
    shared
        && std::path::Path::new(path).extension().is_some_and(|ending| ending == "js")
        && !["uplot", "chart", "qr"].iter().any(|name| path.contains(name))
}

/// Escapes a text for an attribute in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_files_below_any_path() {
        let at_root = page("");
        assert!(at_root.contains("<base href=\"/\">"), "{at_root}");
        assert!(page("/a/mass").contains("<base href=\"/a/mass/\">"));
        assert!(page("/\"><script>").contains("<base href=\"/&quot;>&lt;script>/\">"));
        assert!(at_root.contains(&format!("src=\"{}/core/main.js\"", folder())));
        assert!(!at_root.contains("{{"), "{at_root}");
    }

    #[test]
    fn every_file_stands_in_one_folder_and_has_a_media_type() {
        let mut count = 0;
        for file in files() {
            assert_eq!(file.path.matches('/').count(), 1, "{}", file.path);
            assert!(!file.media_type().starts_with("text/html"), "{}", file.path);
            assert!(!file.content.is_empty(), "{}", file.path);
            count += 1;
        }
        assert!(count > 10);
    }

    /// No request leaves the server: nothing names another host but for namespaces and licences in comments.
    #[test]
    fn no_file_of_ours_loads_from_another_host() {
        for file in files().filter(|file| !file.path.starts_with("vendor/")) {
            let text = String::from_utf8_lossy(file.content);
            for (place, _) in text.match_indices("://") {
                let line = text[..place].rsplit('\n').next().unwrap_or_default();
                assert!(line.contains("http") && text[place..].starts_with("://www.w3.org/"), "{}: {line}", file.path);
            }
        }
    }
}
