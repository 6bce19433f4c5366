//! The program behind nginx, configured as in operations.md.

use std::fmt::Write;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{Workplace, repository, workplaces_on_both};
use crate::support::program_of_the_system;

workplaces_on_both! {
    a_file_is_imported_through_the_documented_proxy,
    a_server_below_a_path_returns_working_urls,
}

/// Enough records for a body of more than one megabyte, nginx's default limit.
const RECORDS: usize = 8000;

async fn a_file_is_imported_through_the_documented_proxy(workplace: Workplace) {
    let workplace = workplace.with("MASS_TRUSTED_PROXIES", "127.0.0.1");
    let server = workplace.serve();
    let token = server.token().await;
    for path in ["", "/mass"] {
        let proxy = Proxy::before(&server.url, path);
        let file = format!("readings{}.csv", path.replace('/', "-"));
        workplace.write(&file, readings(path.trim_start_matches('/')));
        let url = format!("{}{path}", proxy.url);
        let arguments = ["import", &file, "--contract", "device/1.1", "--url", &url];
        let ended = workplace.mass_with(&arguments, "MASS_TOKEN", &token);
        assert_eq!(ended.status, Some(0), "{path}: {ended:?}\n{}", proxy.logged());
        assert!(ended.stdout.contains("8,000 read, 8,000 accepted"), "{path}: {ended:?}");
    }
}

async fn a_server_below_a_path_returns_working_urls(workplace: Workplace) {
    let workplace =
        workplace.with("MASS_TRUSTED_PROXIES", "127.0.0.1").with("MASS_PUBLIC_URL", "https://example.org/mass");
    let server = workplace.serve();
    let token = server.token().await;
    let proxy = Proxy::before(&server.url, "/mass");
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let root: Url = format!("{}/mass/", proxy.url).parse().unwrap();
    let ask = async |url: Url| {
        let answer = client.get(url.clone()).bearer_auth(&token).send().await.unwrap();
        assert!(url.path().starts_with("/mass/"), "{url}");
        (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
    };
    let location = |headers: &HeaderMap| root.join(headers["location"].to_str().unwrap()).unwrap();

    // The console, and all that it loads.
    let (status, _, html) = ask(root.clone()).await;
    assert_eq!(status, 200);
    assert!(html.contains("<base href=\"/mass/\">"), "{html}");
    let links: Vec<&str> = html.split('"').filter(|text| text.starts_with("console/")).collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        assert_eq!(ask(root.join(link).unwrap()).await.0, 200, "{link}");
    }

    // The documentation, and all that it loads.
    let page = root.join("docs").unwrap();
    let from = root.join("docs/").unwrap();
    let (status, headers, _) = ask(from.clone()).await;
    assert!(status.is_redirection(), "{from}: {status}");
    assert_eq!(from.join(headers["location"].to_str().unwrap()).unwrap(), page);
    let (status, _, html) = ask(page.clone()).await;
    assert_eq!(status, 200);
    let (_, _, script) = ask(page.join("docs/init.js").unwrap()).await;
    let links = html.split('"').filter(|text| text.starts_with("docs/"));
    let links: Vec<&str> = links.chain(script.split('"').filter(|text| text.ends_with(".json"))).collect();
    assert_eq!(links.len(), 5, "{links:?}");
    for link in links {
        assert_eq!(ask(page.join(link).unwrap()).await.0, 200, "{link}");
    }
    let (_, _, document) = ask(root.join("openapi.json").unwrap()).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["servers"][0]["url"], "https://example.org/mass");
    let printed: Value = serde_json::from_str(&workplace.mass(&["openapi"]).stdout).unwrap();
    assert_eq!(printed, document);

    // The URLs in the answers of the API.
    let requests = root.join("v1/mass-requests").unwrap();
    for number in 0..2 {
        let send = client.post(requests.clone()).bearer_auth(&token).json(&json!({"payload": {"a": number}}));
        let sent = send.send().await.unwrap();
        assert_eq!(sent.status(), 201);
        assert_eq!(ask(location(sent.headers())).await.0, 200);
    }
    let (_, headers, _) = ask(requests.join("?limit=1").unwrap()).await;
    let link = headers["link"].to_str().unwrap();
    let (next, _) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(ask(root.join(next).unwrap()).await.0, 200, "{link}");
    let (_, _, contracts) = ask(root.join("v1/contracts").unwrap()).await;
    let contracts: Value = serde_json::from_str(&contracts).unwrap();
    for contract in contracts["items"].as_array().unwrap() {
        assert_eq!(ask(root.join(contract["href"].as_str().unwrap()).unwrap()).await.0, 200, "{contract}");
    }
}

fn readings(device: &str) -> String {
    let mut table = "mass_version,timestamp,device.id,device.type,device.location,metrics.temperature_celsius,\
                     metrics.humidity_percent,metrics.pressure_hpa,metadata.operator,metadata.batch_id\n"
        .to_owned();
    for number in 0..RECORDS {
        let (minute, second) = (number / 60 % 60, number % 60);
        let hour = number / 3600;
        writeln!(
            table,
            "1.1,2026-01-01T{hour:02}:{minute:02}:{second:02}Z,rack{device},rack,hall 2,22.5,41.0,1012.0,operator-of-the-hall,\
             a-batch-whose-name-makes-this-row-as-long-as-those-of-real-sites-often-are"
        )
        .unwrap();
    }
    assert!(table.len() > 1 << 20);
    table
}

/// An nginx process, stopped on drop.
struct Proxy {
    process: Child,
    folder: TempDir,
    url: String,
}

impl Proxy {
    /// Starts nginx with the documented block in front of a server, for a path.
    fn before(upstream: &str, path: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = folder.path().join("nginx.conf");
        fs::write(&configuration, configured(upstream, path, port)).unwrap();
        let process = Command::new(program_of_the_system("nginx", "nginx (the package is called nginx)"))
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut proxy = Self { process, folder, url: format!("http://127.0.0.1:{port}") };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(proxy.process.try_wait().unwrap().is_none(), "nginx did not start: {}", proxy.logged());
            std::thread::sleep(Duration::from_millis(10));
        }
        proxy
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the documented block with another port and upstream and without TLS, for one process that writes to its own
/// folder.
fn configured(upstream: &str, path: &str, port: u16) -> String {
    let document = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let (_, rest) = document.split_once("```nginx\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let mut server = String::new();
    for line in block.lines().filter(|line| !line.trim_start().starts_with("ssl_")) {
        let line = line.replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port};"));
        let slash = if path.is_empty() { "" } else { "/" };
        let line = line.replace("http://127.0.0.1:8000", &format!("{}{slash}", upstream.trim_end_matches('/')));
        server.push_str(&line.replace("location / {", &format!("location {path}/ {{")));
        server.push('\n');
    }
    assert!(server.contains("listen 127.0.0.1") && server.contains(upstream.trim_end_matches('/')), "{block}");
    let paths =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path temp_{name};"));
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {{}}\n\
         http {{\naccess_log off;\n{}\n{server}\n}}\n",
        paths.join("\n")
    )
}
