//! Certificates: PEM files to a rustls configuration.

use std::{path::Path, sync::Arc};

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};

use super::StartError;
use crate::config::{Secret, Tls};

pub(super) fn load(files: &Tls) -> Result<ServerConfig, StartError> {
    let mut chain = certificates(&files.cert_path)?;
    if let Some(ca) = &files.ca_path {
        chain.extend(certificates(ca)?);
    }
    let key_refused = |reason: String| StartError::Tls {
        path: files.key_path.clone(),
        reason,
    };
    let text =
        std::fs::read_to_string(&files.key_path).map_err(|error| key_refused(error.to_string()))?;
    let key = private_key(&text, files.passphrase.as_ref()).map_err(key_refused)?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| StartError::Tls {
            path: files.cert_path.clone(),
            reason: error.to_string(),
        })
}

/// A key in PEM. One that a passphrase protects must be PKCS#8 (`BEGIN ENCRYPTED PRIVATE KEY`).
fn private_key(text: &str, passphrase: Option<&Secret>) -> Result<PrivateKeyDer<'static>, String> {
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("the key is encrypted in an old format; convert it: openssl pkcs8 -topk8 -in KEY -out NEW".into());
    }
    if !text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| format!("no private key in PEM: {error}"));
    }
    let passphrase =
        passphrase.ok_or("the key is protected by a passphrase; set SOKETI_SSL_PASS")?;
    let (_, sealed) = SecretDocument::from_pem(text)
        .map_err(|error| format!("no private key in PEM: {error}"))?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes())
        .map_err(|error| format!("no encrypted key: {error}"))?;
    let plain = sealed
        .decrypt(&passphrase.0)
        .map_err(|_| "the passphrase does not open the key".to_owned())?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
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
