//! The program behind nginx, as operations.md configures it.

use std::fmt::Write;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::process::{Workplace, repository, workplaces_on_both};
use crate::support::program_of_the_system;

workplaces_on_both!(a_file_is_imported_through_the_documented_proxy);

/// More than one megabyte, nginx's own limit of a body.
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

/// An nginx that runs until it is dropped.
struct Proxy {
    process: Child,
    folder: TempDir,
    url: String,
}

impl Proxy {
    /// Starts one with the block of operations.md, before a server, for a path.
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

/// The documented block, with another port and upstream and without TLS, as one process that writes to its own folder.
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
