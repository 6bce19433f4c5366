//! `mass bridge mqtt`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use mass_bridge::{Bridge, Broker, DeadLetters, Login, Options, Spool, Summary, Tls, Topic, Trial, try_out};
use mass_domain::tenancy::TenantId;
use mass_mapping::Format;
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::destination::{Records, Target};
use crate::commands::import::Conflict;
use crate::commands::import::mapped::Map;
use crate::commands::import::server::Server;
use crate::commands::print;
use crate::commands::remote::read_token;
use crate::config::{FolderSettings, Secrets};

/// The longest text of MQTT in bytes.
const MAX_TEXT_BYTES: usize = 65_535;

/// The arguments: the broker, the server, and the spool between them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The mapping profile that makes records of messages (docs/gateways/mqtt.md).
    #[arg(long, value_name = "PROFILE")]
    map: PathBuf,
    /// The broker: mqtt://HOST[:PORT], or mqtts:// for TLS.
    #[arg(long, value_name = "URL", value_parser = BrokerAddress::parse)]
    broker: BrokerAddress,
    /// A topic filter; repeat it for several. $share/GROUP/FILTER is shared between the bridges of a group.
    #[arg(long = "topic", value_name = "FILTER", required = true)]
    topics: Vec<Topic>,
    /// The server's address.
    #[arg(long, required_unless_present = "dry_run")]
    url: Option<String>,
    /// A file with the server's bearer token; `-` is standard input.
    #[arg(long, value_name = "PATH", requires = "url")]
    token_file: Option<PathBuf>,
    /// The id by which the broker knows the session [default: mass- and the spool's own id].
    #[arg(long, value_name = "ID", value_parser = client_id)]
    client_id: Option<String>,
    /// The certificates of authorities that the broker's may be of, in PEM [default: the system's].
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// The client's own certificate, in PEM.
    #[arg(long, value_name = "PATH", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// The key of the client's certificate, in PEM.
    #[arg(long, value_name = "PATH", requires = "certificate_file")]
    key_file: Option<PathBuf>,
    /// The interval of pings to the broker.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(5..))]
    keep_alive_seconds: u16,
    /// Take retained messages, too, which a broker sends when a topic is subscribed to.
    #[arg(long)]
    retained: bool,
    /// The action if another document with the same natural key is stored.
    #[arg(long, value_enum, default_value = "refuse")]
    on_conflict: Conflict,
    /// The folder of the spool, for one bridge alone [default: bridge in MASS_DATA_DIR].
    #[arg(long, value_name = "FOLDER")]
    spool: Option<PathBuf>,
    /// The limit on waiting messages. Once it is reached, the broker keeps further ones.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    spool_mib: u32,
    /// The file of refused messages with the reasons [default: dead-letters.ndjson in the spool's folder].
    #[arg(long, value_name = "PATH")]
    dead_letters: Option<PathBuf>,
    /// The limit on the file of refused messages. Once it is reached, messages wait until the file is moved away.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    dead_letters_mib: u32,
    /// The number of messages that are sent without waiting for more; at most as many as the broker sends without
    /// acknowledgement.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    batch_messages: u16,
    /// The time that a message waits for others.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    batch_milliseconds: u32,
    /// The time to deliver what waits after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    drain_seconds: u32,
    /// End once the broker has had no message for a while and all are delivered.
    #[arg(long)]
    once: bool,
    /// The time without a message after which --once ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "once")]
    quiet_seconds: u32,
    /// The time that an absent broker or server is retried with --once.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "once")]
    retry_seconds: u32,
    /// Judge messages by the profile and its contract as they come; acknowledge and store nothing.
    #[arg(long, conflicts_with_all = ["url", "spool", "dead_letters", "client_id"])]
    dry_run: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: FolderSettings,
}

/// Returns the end of the help.
pub(super) fn help() -> &'static str {
    "Secrets have no flags. Set the variable, or NAME_FILE to the path of a file that holds the secret:\n\
     MASS_TOKEN, MASS_MQTT_USER, MASS_MQTT_PASSWORD\n\n\
     Example: mass bridge mqtt --broker mqtts://broker.example --topic 'site/+/env' --map site.toml --url https://mass.example\n\n\
     Exit status: 0 after SIGTERM or --once, 2 when --once or --dry-run refused messages, 1 on failure.\n\
     docs/gateways/mqtt.md tells what is acknowledged when, and what happens to the rest."
}

/// The address of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BrokerAddress {
    host: String,
    port: u16,
    is_encrypted: bool,
}

impl BrokerAddress {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT]";
        let url = Url::parse(text).map_err(|_| expected.to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{expected}, without a user: MASS_MQTT_USER and MASS_MQTT_PASSWORD are for that"));
        }
        let (is_encrypted, port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(expected.to_owned()),
        };
        let has_more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        match url.host_str().filter(|host| !host.is_empty() && !has_more) {
            Some(host) => Ok(Self { host: host.to_owned(), port: url.port().unwrap_or(port), is_encrypted }),
            None => Err(expected.to_owned()),
        }
    }
}

fn client_id(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.contains(char::is_control) {
        return Err("expected 1 to 65535 bytes without control characters");
    }
    Ok(text.to_owned())
}

/// Runs the bridge.
///
/// # Errors
/// If the profile or the connection is wrong, or the disk fails.
pub(super) async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let map = Map::read(&arguments.map)?;
    if !matches!(map.profile.read.format, Format::Ndjson | Format::Json) {
        bail!(
            "the profile {}: expected the format ndjson or json, since a message is read as a JSON document",
            arguments.map.display()
        );
    }
    let broker = broker(&arguments, secrets)?;
    if arguments.dry_run {
        return judge(&arguments, map, &broker, stop).await;
    }
    bridge(arguments, map, broker, secrets, stop).await
}

fn broker(arguments: &Arguments, secrets: &Secrets) -> anyhow::Result<Broker> {
    let BrokerAddress { host, port, is_encrypted } = arguments.broker.clone();
    let files = [&arguments.ca_file, &arguments.certificate_file, &arguments.key_file];
    if !is_encrypted && files.iter().any(|file| file.is_some()) {
        bail!("--broker: expected mqtts://, because certificates are given");
    }
    let tls = is_encrypted.then(|| {
        let [authorities, certificate, key] = files.map(|file| file.as_deref().map(read_pem).transpose());
        let (authorities, certificate, key) = (authorities?, certificate?, key?);
        anyhow::Ok(Tls::new(authorities.as_deref(), certificate.as_deref().zip(key.as_deref()))?)
    });
    for (variable, text) in [("MASS_MQTT_USER", &secrets.mqtt_user), ("MASS_MQTT_PASSWORD", &secrets.mqtt_password)] {
        if text.as_ref().is_some_and(|text| text.expose_secret().len() > MAX_TEXT_BYTES) {
            bail!("{variable}: expected at most {MAX_TEXT_BYTES} bytes, as MQTT has it");
        }
    }
    let login = match (&secrets.mqtt_user, &secrets.mqtt_password) {
        (Some(user), password) => {
            Some(Login { user: user.clone(), password: password.clone().unwrap_or_else(|| String::new().into()) })
        }
        (None, Some(_)) => bail!("expected MASS_MQTT_USER, because MASS_MQTT_PASSWORD is set"),
        (None, None) => None,
    };
    let keep_alive = Duration::from_secs(arguments.keep_alive_seconds.into());
    Ok(Broker { host, port, tls: tls.transpose()?, login, keep_alive })
}

fn read_pem(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("the file {}", path.display()))
}

const fn seconds(number: u32) -> Duration {
    Duration::from_secs(number as u64)
}

async fn bridge(
    arguments: Arguments,
    map: Map,
    broker: Broker,
    secrets: &Secrets,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode> {
    let url = arguments.url.as_deref().context("expected --url")?;
    let token = read_token(arguments.token_file.as_deref(), secrets)?;
    let mut server = Server::new(url, token, arguments.on_conflict.into(), None, ProgressBar::hidden())?;
    server.name_mapping(&map.source);
    let folder = arguments.spool.clone().unwrap_or_else(|| arguments.folder.data_dir.join("bridge"));
    let in_folder = || format!("the folder {}", folder.display());
    let spool = Spool::open(&folder, u64::from(arguments.spool_mib) << 20).with_context(in_folder)?;
    let dead_letters = arguments.dead_letters.clone().unwrap_or_else(|| folder.join("dead-letters.ndjson"));
    let dead_letters = DeadLetters::open(&dead_letters, u64::from(arguments.dead_letters_mib) << 20, &spool)?;
    let dead_letters_path = dead_letters.path().to_owned();
    let client_id = arguments.client_id.clone().unwrap_or_else(|| format!("mass-{}", spool.id()));
    let options = Options {
        topics: arguments.topics,
        client_id,
        batch_messages: arguments.batch_messages.into(),
        batch_wait: Duration::from_millis(arguments.batch_milliseconds.into()),
        takes_retained: arguments.retained,
        ends_after: arguments.once.then(|| seconds(arguments.quiet_seconds)),
        patience: seconds(arguments.retry_seconds),
        drain: seconds(arguments.drain_seconds),
    };
    tracing::info!(broker = broker.host, client_id = options.client_id, waiting = spool.waiting(), "the bridge begins");
    let destination = Records::new(Arc::new(map.profile), Target::Server(Box::new(server)));
    let summary = Bridge { broker, spool, dead_letters, destination, options }.run(stop).await?;
    let text = if arguments.json { format!("{}\n", json!(summary)) } else { in_words(&summary, &dead_letters_path) };
    print(&text)?;
    if arguments.once && summary.waiting > 0 {
        bail!("{} messages wait in the spool, because the server takes none; run the command again", summary.waiting);
    }
    Ok(if arguments.once && summary.refused > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn in_words(summary: &Summary, dead_letters: &Path) -> String {
    let Summary { received, received_again, retained, stored, duplicates, refused, waiting } = summary;
    let mut text = format!(
        "{received} messages received ({received_again} again, {retained} retained ones left out): {stored} records \
         stored, {duplicates} duplicates, {refused} messages refused, {waiting} messages waiting\n"
    );
    if *refused > 0 {
        text += &format!("Refused messages: {}\n", dead_letters.display());
    }
    text
}

async fn judge(
    arguments: &Arguments,
    map: Map,
    broker: &Broker,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode> {
    let tenant = TenantId::parse("default").context("the tenant")?;
    let mut destination = Records::new(Arc::new(map.profile), Target::Contracts(tenant));
    let ends_after = arguments.once.then(|| seconds(arguments.quiet_seconds));
    let tried = try_out(broker, &arguments.topics, arguments.retained, &mut destination, ends_after, stop).await?;
    let Trial { received, retained, valid, refused } = &tried;
    let text = if arguments.json {
        format!("{}\n", json!(tried))
    } else {
        format!(
            "Dry run: {received} messages ({retained} retained ones left out): {valid} records valid, {refused} messages \
             refused\n"
        )
    };
    print(&text)?;
    Ok(if *refused > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_a_scheme() {
        let address = |host: &str, port, is_encrypted| Ok(BrokerAddress { host: host.to_owned(), port, is_encrypted });
        assert_eq!(BrokerAddress::parse("mqtt://broker.example"), address("broker.example", 1883, false));
        assert_eq!(BrokerAddress::parse("mqtts://broker.example/"), address("broker.example", 8883, true));
        assert_eq!(BrokerAddress::parse("mqtt://10.0.0.1:1884"), address("10.0.0.1", 1884, false));
        for wrong in ["broker.example", "http://a", "mqtt://", "mqtt://a/b", "mqtt://a?b", "mqtt://ana:hunter2@a"] {
            let told = BrokerAddress::parse(wrong).unwrap_err();
            assert!(told.starts_with("expected mqtt://HOST") && !told.contains("hunter2"), "{wrong}: {told}");
        }
    }
}
