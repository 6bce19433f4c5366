//! The connection to the broker: MQTT 3.1.1, with acknowledgements of our own.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::tokio_rustls::rustls::crypto::aws_lc_rs;
use rumqttc::tokio_rustls::rustls::pki_types::pem::PemObject;
use rumqttc::tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rumqttc::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use rumqttc::{
    AsyncClient, ClientError, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Packet, Publish, QoS, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The largest packet of MQTT in bytes. A lower limit would end the connection over a message that the broker has taken,
/// again and again.
const MAX_PACKET_BYTES: usize = 268_435_460;

/// The number of requests that wait for the connection: more acknowledgements than a broker waits for.
const REQUESTS: usize = 70_000;

/// The number of events that wait for the bridge.
const EVENTS: usize = 256;

/// The maximum time to connect in seconds.
const CONNECT_SECONDS: u64 = 20;

/// The maximum time to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// The broker's address, and how to log in there.
#[derive(Debug, Clone)]
pub struct Broker {
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// TLS, unless the connection is unencrypted.
    pub tls: Option<Tls>,
    /// The user.
    pub login: Option<Login>,
    /// The interval of pings while nothing else is sent.
    pub keep_alive: Duration,
}

/// A user and its password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name.
    pub user: SecretString,
    /// The password.
    pub password: SecretString,
}

/// The certificates of TLS.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Reads certificates in PEM: of the authorities that the broker's certificate may be of [default: those of the
    /// system], and the client's own with its key.
    ///
    /// # Errors
    /// If there is none in a text, or it cannot be read.
    pub fn new(authorities: Option<&[u8]>, own: Option<(&[u8], &[u8])>) -> Result<Self, BrokerError> {
        let wrong = |error: &dyn std::fmt::Display| BrokerError::Tls(error.to_string());
        let mut roots = RootCertStore::empty();
        if let Some(pem) = authorities {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(BrokerError::Tls("expected a certificate of an authority, found none".to_owned()));
        }
        let builder = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into());
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| wrong(&error))?;
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
                builder.with_client_auth_cert(certificates(certificate)?, key).map_err(|error| wrong(&error))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self(Arc::new(config)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| BrokerError::Tls(error.to_string()))?;
    if found.is_empty() {
        return Err(BrokerError::Tls("expected a certificate in PEM, found none".to_owned()));
    }
    Ok(found)
}

/// An error of the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The certificates cannot be used.
    #[error("the certificates for the broker: {0}")]
    Tls(String),
    /// The broker refuses the client: another attempt would be refused, too.
    #[error("the broker refuses the client: {0}")]
    Refused(String),
    /// The broker refuses a subscription.
    #[error("the broker refuses the subscription to {0}")]
    Topic(String),
    /// The connection could not be made, or was lost.
    #[error("the connection to the broker failed: {0}")]
    Lost(String),
}

impl From<ConnectionError> for BrokerError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable) => {
                Self::Lost("the broker is not available".to_owned())
            }
            ConnectionError::ConnectionRefused(code) => Self::Refused(
                match code {
                    ConnectReturnCode::BadUserNamePassword => "the user or the password is wrong",
                    ConnectReturnCode::NotAuthorized => "the user is not authorised",
                    ConnectReturnCode::BadClientId => "the client id is not allowed",
                    ConnectReturnCode::RefusedProtocolVersion => "MQTT 3.1.1 is not spoken here",
                    ConnectReturnCode::Success | ConnectReturnCode::ServiceUnavailable => "no reason is given",
                }
                .to_owned(),
            ),
            ConnectionError::MqttState(_)
            | ConnectionError::NetworkTimeout
            | ConnectionError::FlushTimeout
            | ConnectionError::Tls(_)
            | ConnectionError::Io(_)
            | ConnectionError::NotConnAck(_)
            | ConnectionError::RequestsDone => Self::Lost(error.to_string()),
        }
    }
}

/// What the broker tells.
#[derive(Debug)]
pub(crate) enum BrokerEvent {
    /// The connection is made; the broker has a session of the client, or has none.
    Connected { has_session: bool },
    /// A message.
    Message(Publish),
    /// The answers to a subscription, in the order of its topics.
    Subscribed(Vec<SubscribeReasonCode>),
    /// The connection has ended.
    Ended(BrokerError),
}

/// How a client appears to the broker.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Its id.
    pub(crate) id: String,
    /// True if the broker keeps nothing for it.
    pub(crate) is_passing: bool,
}

/// A connection, which ends when it is dropped: without a word to the broker, which keeps the session.
#[derive(Debug)]
pub(crate) struct Connection {
    client: AsyncClient,
    events: mpsc::Receiver<BrokerEvent>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Begins to connect; the first event tells the result.
    pub(crate) fn open(broker: &Broker, client: &Client) -> Self {
        let mut options = MqttOptions::new(client.id.clone(), broker.host.clone(), broker.port);
        options.set_keep_alive(broker.keep_alive).set_clean_session(client.is_passing).set_manual_acks(true);
        options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
        if let Some(Login { user, password }) = &broker.login {
            options.set_credentials(user.expose_secret(), password.expose_secret());
        }
        if let Some(Tls(config)) = &broker.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(config))));
        }
        let (client, mut eventloop) = AsyncClient::new(options, REQUESTS);
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(CONNECT_SECONDS).set_tcp_nodelay(true);
        eventloop.set_network_options(network);
        let (sender, events) = mpsc::channel(EVENTS);
        let task = tokio::spawn(run(eventloop, sender));
        Self { client, events, task }
    }

    /// Returns the next event.
    pub(crate) async fn next(&mut self) -> BrokerEvent {
        let ended = || BrokerEvent::Ended(BrokerError::Lost("the connection is closed".to_owned()));
        self.events.recv().await.unwrap_or_else(ended)
    }

    /// Returns an event that is there already.
    pub(crate) fn next_now(&mut self) -> Option<BrokerEvent> {
        self.events.try_recv().ok()
    }

    /// Acknowledges a message.
    pub(crate) fn acknowledge(&self, message: &Publish) -> Result<(), BrokerError> {
        self.client.try_ack(message).map_err(lost)
    }

    /// Subscribes to topics and unsubscribes from others, in this order: the answer tells that both are done.
    pub(crate) fn subscribe(&self, old: &[String], new: &[String], qos: QoS) -> Result<(), BrokerError> {
        for topic in old {
            self.client.try_unsubscribe(topic).map_err(lost)?;
        }
        let filter = |topic: &String| SubscribeFilter::new(topic.clone(), qos);
        self.client.try_subscribe_many(new.iter().map(filter)).map_err(lost)
    }

    /// Sends what waits to be sent, and ends the connection.
    pub(crate) async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            let ended = async {
                while let Some(event) = self.events.recv().await {
                    if matches!(event, BrokerEvent::Ended(_)) {
                        break;
                    }
                }
            };
            // If the broker does not answer, nothing is lost: it sends again what is not acknowledged.
            let _ = tokio::time::timeout(GOODBYE, ended).await;
        }
    }
}

fn lost(error: ClientError) -> BrokerError {
    BrokerError::Lost(match error {
        ClientError::Request(_) | ClientError::TryRequest(_) => "no request can be sent".to_owned(),
    })
}

/// Polls the connection in a task of its own, because a poll must not be cancelled.
async fn run(mut eventloop: EventLoop, events: mpsc::Sender<BrokerEvent>) {
    loop {
        let event = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connected))) => {
                BrokerEvent::Connected { has_session: connected.session_present }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => BrokerEvent::Message(message),
            Ok(Event::Incoming(Packet::SubAck(answer))) => BrokerEvent::Subscribed(answer.return_codes),
            Ok(_) => continue,
            Err(error) => BrokerEvent::Ended(error.into()),
        };
        let is_end = matches!(event, BrokerEvent::Ended(_));
        if events.send(event).await.is_err() || is_end {
            return;
        }
    }
}
