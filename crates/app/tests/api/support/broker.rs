//! mosquitto, with its own folder and port.

use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::program_of_the_system;

/// The package to install.
const PACKAGES: &str = "mosquitto and its clients (the packages are called mosquitto and mosquitto-clients)";

/// A broker that keeps sessions on its disk, stopped on drop.
pub(crate) struct Mosquitto {
    process: Option<Child>,
    port: u16,
    folder: TempDir,
    is_encrypted: bool,
    login: Vec<String>,
}

impl Mosquitto {
    /// Starts a broker that asks for nothing.
    pub(crate) fn start() -> Self {
        Self::with("allow_anonymous true\n", false, Vec::new())
    }

    /// Starts a broker with TLS and one user. The certificate of its authority is `ca.pem` in its folder.
    pub(crate) fn start_guarded(user: &str, password: &str) -> Self {
        let login = ["-u", user, "-P", password].map(str::to_owned).to_vec();
        let broker = Self::prepared(true, login);
        let path = |name: &str| broker.path(name).display().to_string();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        // Its own name, since a certificate whose issuer has the same name counts as self-signed.
        authority.distinguished_name.push(DnType::CommonName, "Authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        fs::write(path("ca.pem"), authority.pem()).unwrap();
        fs::write(path("broker.pem"), certificate.pem()).unwrap();
        fs::write(path("broker.key"), key.serialize_pem()).unwrap();
        let mut hash = Command::new(program_of_the_system("mosquitto_passwd", PACKAGES));
        assert!(hash.args(["-b", "-c", &path("users"), user, password]).status().unwrap().success());
        let [ca, certificate, key, users] = ["ca.pem", "broker.pem", "broker.key", "users"].map(path);
        broker.begin(&format!(
            "allow_anonymous false\npassword_file {users}\ncafile {ca}\ncertfile {certificate}\nkeyfile {key}\n"
        ))
    }

    fn with(options: &str, is_encrypted: bool, login: Vec<String>) -> Self {
        Self::prepared(is_encrypted, login).begin(options)
    }

    fn prepared(is_encrypted: bool, login: Vec<String>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { process: None, port, folder: tempfile::tempdir().unwrap(), is_encrypted, login }
    }

    fn begin(mut self, options: &str) -> Self {
        let folder = self.folder.path().display();
        // A queue without a limit; the log tells what is saved. As root it would give up its rights to the folder.
        let configuration = format!(
            "user root\nlistener {} 127.0.0.1\npersistence true\npersistence_location {folder}/\nautosave_interval 0\n\
             max_queued_messages 0\nlog_type all\n{options}",
            self.port
        );
        fs::write(self.path("mosquitto.conf"), configuration).unwrap();
        self.restart();
        self
    }

    /// Returns the path of a file of the broker.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        let (scheme, host) = if self.is_encrypted { ("mqtts", "localhost") } else { ("mqtt", "127.0.0.1") };
        format!("{scheme}://{host}:{}", self.port)
    }

    /// Starts the broker again, with what it had saved.
    pub(crate) fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(program_of_the_system("mosquitto", PACKAGES));
        command.arg("-c").arg(self.path("mosquitto.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "mosquitto did not start: {}", self.logged());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.process = Some(process);
    }

    /// Sends a signal.
    fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Kills the broker at a moment when its disk has all that it sent and heard: what it forgot, it would send again as
    /// if for the first time.
    pub(crate) fn save_and_kill(&mut self) {
        let id = self.process.as_ref().unwrap().id();
        loop {
            let before = self.saved();
            self.signal("-USR1");
            while self.saved() == before {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.signal("-STOP");
            while !fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") T ") {
                std::thread::sleep(Duration::from_millis(1));
            }
            let log = self.logged();
            let (_, since) = log.rsplit_once("Saving in-memory database").unwrap();
            if !since.contains("PUB") {
                break;
            }
            self.signal("-CONT");
        }
        self.signal("-KILL");
        self.process.take().unwrap().wait().unwrap();
    }

    /// The file that was saved last, which replaces the one before.
    fn saved(&self) -> Option<u64> {
        fs::metadata(self.path("mosquitto.db")).ok().map(|file| file.ino())
    }

    /// Kills the broker, which loses what it has not saved: its sessions, too.
    pub(crate) fn kill_and_lose_everything(&mut self) {
        self.signal("-KILL");
        self.process.take().unwrap().wait().unwrap();
        let _ = fs::remove_file(self.path("mosquitto.db"));
    }

    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Publishes messages with QoS 1; the broker has them then.
    pub(crate) fn publish(&self, topic: &str, payloads: &[String]) {
        self.publish_with(&["-q", "1", "-l", "-t", topic], &(payloads.join("\n") + "\n"));
    }

    /// Publishes standard input as the options of `mosquitto_pub` say.
    pub(crate) fn publish_with(&self, options: &[&str], input: &(impl AsRef<[u8]> + ?Sized)) {
        let mut command = Command::new(program_of_the_system("mosquitto_pub", PACKAGES));
        let host = if self.is_encrypted { "localhost" } else { "127.0.0.1" };
        command.args(["-h", host, "-p", &self.port.to_string()]).args(&self.login).args(options);
        if self.is_encrypted {
            command.arg("--cafile").arg(self.path("ca.pem"));
        }
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_ref()).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.logged());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
