//! Certificates: PEM files to a rustls configuration.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::StartError;
use crate::config::Tls;

pub(super) fn load(files: &Tls) -> Result<ServerConfig, StartError> {
    let mut chain = certificates(&files.cert_path)?;
    if let Some(ca) = &files.ca_path {
        chain.extend(certificates(ca)?);
    }
    let key_refused = |reason: String| StartError::Tls {
        path: files.key_path.clone(),
        reason,
    };
    let text = std::fs::read(&files.key_path).map_err(|error| key_refused(error.to_string()))?;
    if text.windows(9).any(|window| window == b"ENCRYPTED") {
        return Err(key_refused("the key is protected by a passphrase; store it without one (openssl pkey -in KEY -out PLAIN)".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| key_refused(format!("no private key in PEM: {error}")))?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| StartError::Tls {
            path: files.cert_path.clone(),
            reason: error.to_string(),
        })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let refused = |reason: String| StartError::Tls {
        path: path.to_owned(),
        reason,
    };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(refused("no certificate in PEM".into())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(refused(error.to_string())),
    }
}
