//! Whether the database that the workers need answers.
//!
//! The gateway itself needs no database and holds no credentials: it connects, reads the greeting of the server, and hangs up.
//! The greeting tells a database from a port that is merely open.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The address of a database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseAddress {
    /// Its protocol.
    pub kind: Kind,
    host: String,
    port: u16,
}

/// A protocol whose greeting is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server speaks first: a handshake packet of protocol version 10, or an error packet.
    /// Source: MySQL, "Protocol::HandshakeV10".
    Mysql,
    /// The server answers an SSLRequest with one byte. Source: PostgreSQL, "Message Formats", SSLRequest.
    Postgres,
}

impl Kind {
    /// As the health endpoint names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Mysql => "mysql",
            Kind::Postgres => "postgres",
        }
    }
}

impl DatabaseAddress {
    /// Parses `mysql://[user[:password]@]host[:port][/...]`, or the same with `postgres://`. User and password are not kept.
    #[must_use]
    pub fn parse(text: &str) -> Option<DatabaseAddress> {
        let (scheme, rest) = text.split_once("://")?;
        let (kind, default_port) = match scheme {
            "mysql" | "mariadb" => (Kind::Mysql, 3306),
            "postgres" | "postgresql" => (Kind::Postgres, 5432),
            _ => return None,
        };
        let authority = rest.split(['/', '?']).next()?;
        let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()?),
            _ => (server, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| DatabaseAddress { kind, host: host.to_owned(), port })
    }

    /// Whether the server greets within `patience`, as its protocol says.
    pub async fn answers(&self, patience: Duration) -> bool {
        timeout(patience, self.greeting()).await.is_ok_and(|answer| answer.unwrap_or(false))
    }

    async fn greeting(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match self.kind {
            Kind::Mysql => {
                let mut head = [0; 5];
                stream.read_exact(&mut head).await?;
                // Length (3 bytes), sequence number 0, then the version.
                Ok(head[3] == 0 && head[4] == 10)
            }
            Kind::Postgres => {
                stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await?;
                Ok(matches!(stream.read_u8().await?, b'S' | b'N'))
            }
        }
    }
}
